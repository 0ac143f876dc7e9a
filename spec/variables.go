package spec

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// environmentPrefix begins the environment variables that give values.
const environmentPrefix = "PLEAT_VAR_"

// variable is one variable block.
type variable struct {
	node      *node
	kind      cty.Type
	defaults  *typeexpr.Defaults
	sensitive bool
	value     cty.Value // NilVal: not given
	near      string    // what the environment has instead, as a sentence
}

func newVariable(n *node) *variable {
	v := &variable{node: n, kind: cty.DynamicPseudoType, sensitive: n.flag("sensitive")}
	n.str("description")
	if a, ok := n.syntax.Body.Attributes["type"]; ok {
		kind, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		n.problems.extend(diags)
		if !diags.HasErrors() {
			v.kind, v.defaults = kind, defaults
		}
	}
	return v
}

// set gives the variable a value; from tells where it comes from.
func (v *variable) set(value cty.Value, rng hcl.Range, from string) {
	if v.defaults != nil && !value.IsNull() {
		value = v.defaults.Apply(value)
	}
	c, err := convert.Convert(value, v.kind)
	if err != nil || !c.IsWhollyKnown() {
		v.node.problems.add(rng, "Wrong type of variable", "%s is not a %s.", from, typeexpr.TypeString(v.kind))
		v.value = cty.DynamicVal
		return
	}
	v.value = c
}

// setRaw gives the variable a value that came as text: as it is where a
// string is wanted, else as an expression.
func (v *variable) setRaw(raw, from string) {
	if v.kind == cty.String || v.kind == cty.DynamicPseudoType {
		v.set(cty.StringVal(raw), v.node.labelRange(0), from)
		return
	}
	value, ok := parseLiteral(raw)
	if !ok {
		v.node.problems.add(v.node.labelRange(0), "Wrong type of variable", "%s is not a %s. It is read as a literal of this language.", from, typeexpr.TypeString(v.kind))
		v.value = cty.DynamicVal
		return
	}
	v.set(value, v.node.labelRange(0), from)
}

func parseLiteral(raw string) (cty.Value, bool) {
	const name = "value"
	if checkLimits(lex(name, []byte(raw))).HasErrors() {
		return cty.NilVal, false
	}
	expr, diags := hclsyntax.ParseExpression([]byte(raw), name, hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	v, diags := expr.Value(nil)
	return v, !diags.HasErrors()
}

// result is what var.NAME is, after every source was asked.
func (v *variable) result() cty.Value {
	if v.value == cty.NilVal {
		v.setDefault()
	}
	if err := checkSize(v.value); err != nil {
		v.node.problems.add(v.node.labelRange(0), "Value too large", "var.%s is too large: %s.", v.node.labels[0], err)
		return cty.DynamicVal
	}
	if v.sensitive && v.value != cty.DynamicVal {
		return v.value.Mark(sensitiveMark{})
	}
	return v.value
}

func (v *variable) setDefault() {
	a, ok := v.node.syntax.Body.Attributes["default"]
	if !ok {
		name := v.node.labels[0]
		v.node.problems.add(v.node.labelRange(0), "Missing value", "The variable %s has no default, and no value is given. Give one with -var %s=VALUE, in a file with -var-file, or as %s%s in the environment.%s", name, name, environmentPrefix, name, v.near)
		v.value = cty.DynamicVal
		return
	}
	value, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		v.node.problems.add(a.Expr.Range(), "Invalid default", "A default is a literal: it has no names and calls no functions.")
		v.value = cty.DynamicVal
		return
	}
	v.set(value, a.Expr.Range(), "The default")
}

// giveVariables sets variables from the environment, then the files, then
// the command line.
func (l *loader) giveVariables() {
	for _, e := range l.options.Environ {
		name, raw, _ := strings.Cut(e, "=")
		name, ok := strings.CutPrefix(name, environmentPrefix)
		if !ok {
			continue
		}
		if v := l.variables[name]; v != nil {
			v.setRaw(raw, fmt.Sprintf("The value of %s%s in the environment", environmentPrefix, name))
			continue
		}
		for other, v := range l.variables {
			if strings.EqualFold(other, name) {
				v.near = fmt.Sprintf(" What it has is %s%s: capitals are told from small letters.", environmentPrefix, name)
			}
		}
	}
	for _, path := range l.options.VarFiles {
		l.giveFile(path)
	}
	for _, name := range sortedKeys(l.options.Vars) {
		if v := l.known(name, hcl.Range{}, "-var"); v != nil {
			v.setRaw(l.options.Vars[name], "The value of -var "+name)
		}
	}
}

// known is the variable of that name; it reports when there is none.
func (l *loader) known(name string, rng hcl.Range, from string) *variable {
	if v := l.variables[name]; v != nil {
		return v
	}
	names := sortedKeys(l.variables)
	l.add(rng, "Unknown variable", "%s gives a value to %s, but there is no such variable.%s%s", from, name, DidYouMean(name, names), existing(names))
	return nil
}

// giveFile sets variables from a file of arguments. Its bytes do not become
// one of the spec's sources: no message may quote a line of it.
func (l *loader) giveFile(path string) {
	nowhere := hcl.Range{}
	src, err := readVariables(path)
	if err != nil {
		l.add(nowhere, "Unreadable file of variables", "%s: %s.", path, fileReason(err))
		return
	}
	file, diags := parse(path, src)
	if diags.HasErrors() {
		l.extend(withoutContext(diags, detailOf))
		return
	}
	for _, b := range file.body.Blocks {
		l.add(b.DefRange(), "Block in a file of variables", "A file of variables holds lines of the form NAME = VALUE.")
	}
	for _, a := range sortedAttributes(file.body) {
		l.giveAttribute(a)
	}
}

func readVariables(path string) ([]byte, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(src) > maxFile {
		return nil, errTooLarge
	}
	return src, nil
}

func (l *loader) giveAttribute(a *hclsyntax.Attribute) {
	v := l.known(a.Name, a.NameRange, a.SrcRange.Filename)
	if v == nil {
		return
	}
	value, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		l.add(a.Expr.Range(), "Invalid value", "A value is a literal: it has no names and calls no functions.")
		v.value = cty.DynamicVal
		return
	}
	v.set(value, a.Expr.Range(), "The value of "+a.Name)
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
