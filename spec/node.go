package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// node is a block of a file together with the table that it was fitted to.
type node struct {
	table    *block
	syntax   *hclsyntax.Block
	labels   []string
	scope    *scope
	problems *problems
	children []*node
}

// children of that name, in the order of the file.
func (n *node) blocks(name string) []*node {
	var found []*node
	for _, c := range n.children {
		if c.syntax.Type == name {
			found = append(found, c)
		}
	}
	return found
}

// block is the first child of that name, or nil.
func (n *node) block(name string) *node {
	if i := slices.IndexFunc(n.children, func(c *node) bool { return c.syntax.Type == name }); i >= 0 {
		return n.children[i]
	}
	return nil
}

// in is a copy of the node whose expressions are evaluated in s.
func (n *node) in(s *scope) *node {
	c := *n
	c.scope = s
	c.children = make([]*node, len(n.children))
	for i, child := range n.children {
		c.children[i] = child.in(s)
	}
	return &c
}

// rng is the block's header.
func (n *node) rng() hcl.Range { return n.syntax.DefRange() }

// labelRange is where label i stands, or the header when there is none.
func (n *node) labelRange(i int) hcl.Range {
	if i < len(n.syntax.LabelRanges) {
		return n.syntax.LabelRanges[i]
	}
	return n.rng()
}

// at is the range of an argument's value, or the header when it is not given.
func (n *node) at(name string) hcl.Range {
	if a, ok := n.syntax.Body.Attributes[name]; ok {
		return a.Expr.Range()
	}
	return n.rng()
}

// has tells whether the author gave the argument.
func (n *node) has(name string) bool {
	_, ok := n.syntax.Body.Attributes[name]
	return ok
}

// title names the block for a person: `change "split_name"`.
func (n *node) title() string {
	title := n.syntax.Type
	for _, l := range n.labels {
		title += " " + quote(l)
	}
	return title
}

// sortedAttributes are the arguments of a body in the order of the file.
func sortedAttributes(body *hclsyntax.Body) []*hclsyntax.Attribute {
	list := make([]*hclsyntax.Attribute, 0, len(body.Attributes))
	for _, a := range body.Attributes {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *hclsyntax.Attribute) int {
		return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte
	})
	return list
}

// orDefaults is n or, where the author wrote no such block, an empty one, whose
// arguments all have the defaults of the table.
func orDefaults(n, parent *node, name string) *node {
	if n != nil {
		return n
	}
	table := parent.table.block(name)
	if table == nil {
		table = language.block(name)
	}
	return &node{
		table: table, scope: parent.scope, problems: parent.problems,
		syntax: &hclsyntax.Block{Type: name, TypeRange: parent.syntax.TypeRange, Body: &hclsyntax.Body{}},
	}
}

// atKey is the range of a key in an argument that is written as an object, or
// of the whole value.
func (n *node) atKey(name, key string) hcl.Range {
	a, ok := n.syntax.Body.Attributes[name]
	if !ok {
		return n.rng()
	}
	object, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return a.Expr.Range()
	}
	for _, item := range object.Items {
		if hcl.ExprAsKeyword(item.KeyExpr) == key {
			return item.KeyExpr.Range()
		}
		if s, ok := literalKey(item.KeyExpr); ok && s == key {
			return item.KeyExpr.Range()
		}
	}
	return a.Expr.Range()
}

// atElement is the range of an element in an argument that is written as a
// list, or of the whole value.
func (n *node) atElement(name string, i int) hcl.Range {
	if a, ok := n.syntax.Body.Attributes[name]; ok {
		if tuple, ok := a.Expr.(*hclsyntax.TupleConsExpr); ok && i < len(tuple.Exprs) {
			return tuple.Exprs[i].Range()
		}
	}
	return n.at(name)
}

func literalKey(expr hclsyntax.Expression) (string, bool) {
	if k, ok := expr.(*hclsyntax.ObjectConsKeyExpr); ok {
		return literalString(k.Wrapped)
	}
	return "", false
}
