package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// sensitiveMark is on every value that came from a sensitive variable.
type sensitiveMark struct{}

// scope is what expressions may name.
type scope struct {
	context *hcl.EvalContext
	names   map[string][]string // by root: var, local
	each    bool
}

// withEach is the scope within one element of for_each.
func (s *scope) withEach(key string, value cty.Value) *scope {
	child := s.context.NewChild()
	child.Variables = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{
		"key":   cty.StringVal(key),
		"value": value,
	})}
	return &scope{context: child, names: s.names, each: true}
}

// value evaluates an expression. It is false when something was reported, or
// when what it depends on was.
func (s *scope) value(p *problems, expr hcl.Expression) (cty.Value, bool) {
	if !s.namesExist(p, expr) {
		return cty.NilVal, false
	}
	v, diags := expr.Value(s.context)
	if diags.HasErrors() {
		p.extend(s.hideValues(expr, diags))
		return cty.NilVal, false
	}
	if !v.IsWhollyKnown() {
		return cty.NilVal, false
	}
	return v, true
}

// namesExist reports names that the scope does not have, with suggestions.
func (s *scope) namesExist(p *problems, expr hcl.Expression) bool {
	ok := true
	for _, t := range expr.Variables() {
		ok = s.nameExists(p, t) && ok
	}
	return ok
}

func (s *scope) nameExists(p *problems, t hcl.Traversal) bool {
	root := t.RootName()
	names, known := s.names[root]
	switch {
	case known:
		return memberExists(p, t, names)
	case root == "each" && s.each:
		return memberExists(p, t, []string{"key", "value"})
	case root == "each":
		p.add(t.SourceRange(), "No each here", "each.key and each.value exist only in a block that has for_each.")
	case language.block(root) != nil:
		p.add(t.SourceRange(), "Reference instead of a value", "A reference to a %s cannot be used as a value. Values are made of var.NAME, local.NAME, functions and literals.", root)
	default:
		p.add(t.SourceRange(), "Unknown name", "There is no %s.%s Text is written in quotes; the names are var.NAME, local.NAME, each.key and each.value. For ${%s} in what the agent starts, write $${%s}.",
			root, DidYouMean(root, []string{"var", "local", "each"}), root, root)
	}
	return false
}

var rootWords = map[string]string{"var": "variable", "local": "local value", "each": "part of each"}

// memberExists checks the name after the root.
func memberExists(p *problems, t hcl.Traversal, names []string) bool {
	root := t.RootName()
	if len(t) < 2 {
		p.add(t.SourceRange(), "Incomplete name", "%s is followed by a dot and a name, such as %s.NAME.", root, root)
		return false
	}
	member, ok := t[1].(hcl.TraverseAttr)
	if !ok {
		p.add(t.SourceRange(), "Incomplete name", "%s is followed by a dot and a name, such as %s.NAME.", root, root)
		return false
	}
	if slices.Contains(names, member.Name) {
		return true
	}
	word := rootWords[root]
	p.add(t.SourceRange(), "Unknown "+word, "There is no %s.%s.%s%s", root, member.Name, DidYouMean(member.Name, names), existing(names))
	return false
}

// existing is the sentence that lists what there is.
func existing(names []string) string {
	if len(names) == 0 {
		return " There is none at all."
	}
	return " There is: " + among(names) + "."
}

// hideValues takes the details out of diagnostics of an expression that has
// to do with a sensitive value: they may quote it.
func (s *scope) hideValues(expr hcl.Expression, diags hcl.Diagnostics) hcl.Diagnostics {
	if !s.sensitive(expr) {
		return withoutContext(diags, detailOf)
	}
	return withoutContext(diags, func(*hcl.Diagnostic) string {
		return "What is wrong is not shown, because a sensitive value is part of the expression."
	})
}

// detailOf is HCL's detail, with the nearest name of a function that does not
// exist.
func detailOf(d *hcl.Diagnostic) string {
	call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallUnknownDiagExtra](d)
	if !ok {
		return d.Detail
	}
	return d.Detail + DidYouMean(call.CalledFunctionName(), sortedKeys(functions(nil)))
}

// withoutContext copies diagnostics without the values that HCL attaches.
func withoutContext(diags hcl.Diagnostics, detail func(*hcl.Diagnostic) string) hcl.Diagnostics {
	plain := make(hcl.Diagnostics, len(diags))
	for i, d := range diags {
		plain[i] = &hcl.Diagnostic{Severity: d.Severity, Summary: d.Summary, Detail: detail(d), Subject: d.Subject}
	}
	return plain
}

// sensitive tells whether an expression names a sensitive value.
func (s *scope) sensitive(expr hcl.Expression) bool {
	for _, t := range expr.Variables() {
		root := hcl.Traversal{t[0]}
		if len(t) > 1 {
			root = t[:2]
		}
		if v, diags := root.TraverseAbs(s.context); !diags.HasErrors() && v.ContainsMarked() {
			return true
		}
	}
	return false
}
