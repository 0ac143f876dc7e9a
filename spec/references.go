package spec

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// registry holds the things that references of one kind may name.
type registry[T any] struct {
	root  string
	items map[string]T // by reference, in each of its forms
	names []string     // the first form of each
	at    map[string]hcl.Range
}

func newRegistry[T any](root string) *registry[T] {
	return &registry[T]{root: root, items: map[string]T{}, at: map[string]hcl.Range{}}
}

// add makes item known by its references; false when the first is taken.
func (r *registry[T]) add(p *problems, item T, rng hcl.Range, references ...string) bool {
	name := references[0]
	if was, ok := r.at[name]; ok {
		p.duplicate(rng, was, name)
		return false
	}
	r.at[name] = rng
	r.names = append(r.names, name)
	for _, ref := range references {
		r.items[ref] = item
	}
	return true
}

// rooted tells whether the beginning of a reference is that of one that it may
// be.
func (r *registry[T]) rooted(ref string) bool {
	root, _, _ := strings.Cut(ref, ".")
	root, _, _ = strings.Cut(root, "[")
	if root == r.root {
		return true
	}
	for _, name := range r.names {
		if strings.HasPrefix(name, root+".") {
			return true
		}
	}
	return false
}

// only is the single item, if there is exactly one.
func (r *registry[T]) only() (T, bool) {
	if len(r.names) == 1 {
		return r.items[r.names[0]], true
	}
	var none T
	return none, false
}

// refer resolves an argument that refers to one thing.
func refer[T any](n *node, name string, r *registry[T]) (T, bool) {
	var none T
	a, ok := n.syntax.Body.Attributes[name]
	if !ok {
		return none, false
	}
	return resolve(n, a.Expr, name, r)
}

// referAll resolves an argument that refers to a list of things, each taken
// once, and tells where each reference stands.
func referAll[T comparable](n *node, name string, r *registry[T]) ([]T, []hcl.Range) {
	a, ok := n.syntax.Body.Attributes[name]
	if !ok {
		return nil, nil
	}
	exprs, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() {
		def, _ := n.table.attribute(name)
		n.problems.add(a.Expr.Range(), "List of references expected", "The argument %s of %s is a list such as [%s].", name, n.title(), def.target)
		return nil, nil
	}
	var found []T
	var at []hcl.Range
	seen := map[T]bool{}
	for _, e := range exprs {
		item, ok := resolve(n, e, name, r)
		if ok && !seen[item] {
			seen[item] = true
			found, at = append(found, item), append(at, e.Range())
		}
	}
	return found, at
}

func resolve[T any](n *node, expr hcl.Expression, name string, r *registry[T]) (T, bool) {
	var none T
	def, _ := n.table.attribute(name)
	ref, ok := n.reference(expr)
	if !ok {
		n.notReference(expr, name, def.target, r.root)
		return none, false
	}
	if item, ok := r.items[ref]; ok {
		return item, true
	}
	if n.problems.refused[ref] {
		return none, false
	}
	if !r.rooted(ref) {
		n.problems.add(expr.Range(), "Wrong kind of reference", "The argument %s of %s refers to %s.%s", name, n.title(), def.target, DidYouMean(ref, r.names))
		return none, false
	}
	n.problems.add(expr.Range(), "Unknown "+lastWord(def.target), "There is no %s.%s%s", ref, DidYouMean(ref, r.names), existing(r.names))
	return none, false
}

// lastWord is what a reference of that form names: "release" for
// service.NAME.release["VERSION"], "verify" for change.NAME.VERIFY.
func lastWord(target string) string {
	words := strings.Split(target, ".")
	last := words[len(words)-1]
	if word, _, ok := strings.Cut(last, "["); ok {
		return word
	}
	if last != "NAME" {
		return strings.ToLower(last)
	}
	return words[0]
}

func (n *node) notReference(expr hcl.Expression, name, target, root string) {
	literal, ok := literalString(expr)
	if !ok {
		n.problems.add(expr.Range(), "Reference expected", "The argument %s of %s is a reference such as %s.", name, n.title(), target)
		return
	}
	want := target
	if hclsyntax.ValidIdentifier(literal) && strings.Count(target, ".") == 1 {
		want = root + "." + literal
	}
	if strings.HasPrefix(literal, root+".") {
		want = literal
	}
	n.problems.add(expr.Range(), "Reference in quotes", "References are written without quotes: %s = %s", name, bracketed(n, name, want))
}

// bracketed writes the reference as the argument takes it.
func bracketed(n *node, name, ref string) string {
	if def, _ := n.table.attribute(name); def.kind == kindRefs {
		return "[" + ref + "]"
	}
	return ref
}

func literalString(expr hcl.Expression) (string, bool) {
	if t, ok := expr.(*hclsyntax.TemplateExpr); !ok || !t.IsStringLiteral() {
		return "", false
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() {
		return "", false
	}
	return v.AsString(), true
}

// reference is the text of a reference, whatever way it is laid out. The last
// index may be computed, as in change.shard[each.key].
func (n *node) reference(expr hcl.Expression) (string, bool) {
	if i, ok := expr.(*hclsyntax.IndexExpr); ok {
		return n.indexed(i)
	}
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		return "", false
	}
	return traversalText(t)
}

func (n *node) indexed(i *hclsyntax.IndexExpr) (string, bool) {
	collection, ok := n.reference(i.Collection)
	if !ok {
		return "", false
	}
	v, ok := n.scope.value(n.problems, i.Key)
	if !ok || v.IsMarked() {
		return "", false
	}
	key, err := convert.Convert(v, cty.String)
	if err != nil || key.IsNull() {
		return "", false
	}
	return collection + "[" + quote(key.AsString()) + "]", true
}

func traversalText(t hcl.Traversal) (string, bool) {
	text := t.RootName()
	for _, step := range t[1:] {
		switch s := step.(type) {
		case hcl.TraverseAttr:
			text += "." + s.Name
		case hcl.TraverseIndex:
			if s.Key.Type() != cty.String {
				return "", false
			}
			text += "[" + quote(s.Key.AsString()) + "]"
		default:
			return "", false
		}
	}
	return text, true
}

// named are the two forms of a reference by name: ROOT.NAME, and ROOT["NAME"]
// for names that are computed.
func named(root, name string) []string {
	return []string{root + "." + name, root + "[" + quote(name) + "]"}
}

// references are the forms in which something may be referred to: those of
// named and, for an element of for_each, also ROOT.LABEL["KEY"].
func (i instance) references(root string) []string {
	forms := named(root, i.name)
	if i.key != "" {
		forms = append(forms, fmt.Sprintf("%s.%s[%q]", root, i.node.labels[0], i.key))
	}
	return forms
}
