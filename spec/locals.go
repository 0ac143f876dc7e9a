package spec

import (
	"errors"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const (
	// maxElements and maxBytes bound what one variable or local may hold.
	maxElements = 100_000
	maxBytes    = 4 << 20
	// maxExponent bounds numbers: their decimal form is as long.
	maxExponent = 4096
)

// locals evaluates local values, each after those that it names.
type locals struct {
	*problems
	scope *scope
	exprs map[string]*hclsyntax.Attribute
	done  map[string]cty.Value
	path  []string // being evaluated
}

// evaluate is the value of one local; DynamicVal when it was reported.
func (l *locals) evaluate(name string) cty.Value {
	if v, ok := l.done[name]; ok {
		return v
	}
	a := l.exprs[name]
	// A cycle ends here: whoever comes back to this name finds it reported.
	l.done[name] = cty.DynamicVal
	l.path = append(l.path, name)
	members := map[string]cty.Value{}
	for _, t := range a.Expr.Variables() {
		if need, ok := l.needs(t); ok {
			members[need] = l.evaluate(need)
		}
	}
	l.path = l.path[:len(l.path)-1]
	l.done[name] = l.value(a, members)
	return l.done[name]
}

// needs is the local that a traversal names.
func (l *locals) needs(t hcl.Traversal) (string, bool) {
	if t.RootName() != "local" || len(t) < 2 {
		return "", false
	}
	member, ok := t[1].(hcl.TraverseAttr)
	if !ok || l.exprs[member.Name] == nil {
		return "", false
	}
	for i, name := range l.path {
		if name == member.Name {
			l.cycle(t.SourceRange(), l.path[i:])
		}
	}
	return member.Name, true
}

func (l *locals) cycle(rng hcl.Range, names []string) {
	var places Related
	text := ""
	for _, name := range names {
		places = append(places, Place{l.exprs[name].NameRange, "local." + name})
		text += "local." + name + " → "
	}
	l.addRelated(rng, places, "Cycle of locals", "%slocal.%s", text, names[0])
}

func (l *locals) value(a *hclsyntax.Attribute, members map[string]cty.Value) cty.Value {
	context := l.scope.context.NewChild()
	context.Variables = map[string]cty.Value{"local": cty.ObjectVal(members)}
	s := &scope{context: context, names: l.scope.names}
	v, ok := s.value(l.problems, a.Expr)
	if !ok {
		return cty.DynamicVal
	}
	if err := checkSize(v); err != nil {
		l.add(a.Expr.Range(), "Value too large", "local.%s is too large: %s.", a.Name, err)
		return cty.DynamicVal
	}
	return v
}

// checkSize keeps values that are built from one another from growing without
// end.
func checkSize(v cty.Value) error {
	bare, _ := v.UnmarkDeep()
	elements, bytes := 0, 0
	return cty.Walk(bare, func(_ cty.Path, e cty.Value) (bool, error) {
		elements++
		if elements > maxElements {
			return false, fmt.Errorf("more than %d elements", maxElements)
		}
		if e.IsNull() || !e.IsKnown() {
			return false, nil
		}
		if e.Type() == cty.Number {
			return false, checkExponent(e)
		}
		if e.Type() == cty.String {
			bytes += len(e.AsString())
		}
		if bytes > maxBytes {
			return false, fmt.Errorf("more than %d MiB of text", maxBytes>>20)
		}
		return true, nil
	})
}

func checkExponent(v cty.Value) error {
	if exp := v.AsBigFloat().MantExp(nil); exp > maxExponent || exp < -maxExponent {
		return errors.New("a number with too many digits")
	}
	return nil
}
