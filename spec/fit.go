package spec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func quote(s string) string { return strconv.Quote(s) }

// fitter compares blocks with their tables.
type fitter struct{ *problems }

// topLevel is the owner of the blocks of a file.
const topLevel = "the top level"

// file fits the top level of one file.
func (f fitter) file(body *hclsyntax.Body) []*node {
	for _, a := range sortedAttributes(body) {
		f.unknownAttribute(language, topLevel, a)
	}
	return f.children(language, topLevel, body)
}

// children fits the blocks of a body; those that are not in the table are
// reported and left out.
func (f fitter) children(t *block, owner string, body *hclsyntax.Body) []*node {
	var nodes []*node
	for _, b := range body.Blocks {
		child := t.block(b.Type)
		if child == nil {
			f.unknownBlock(t, owner, b)
			continue
		}
		n := f.block(child, b)
		if n == nil {
			f.refused[b.Type] = true
			f.refused[strings.Join(append([]string{b.Type}, b.Labels...), ".")] = true
			continue
		}
		nodes = append(nodes, n)
	}
	f.twice(t, nodes)
	return nodes
}

// block fits one block; nil when it cannot be used at all.
func (f fitter) block(t *block, b *hclsyntax.Block) *node {
	if !f.labels(t, b) {
		return nil
	}
	if t.variants != nil {
		if t = f.variant(t, b); t == nil {
			return nil
		}
	}
	n := &node{table: t, syntax: b, labels: b.Labels, problems: f.problems}
	f.attributes(n)
	n.children = f.children(t, n.title(), b.Body)
	f.missingBlocks(n)
	return n
}

func (f fitter) labels(t *block, b *hclsyntax.Block) bool {
	given, want := len(b.Labels), len(t.labels)
	if given == want || t.optionalLabel && given == want-1 {
		return true
	}
	rng := b.DefRange()
	if given > want {
		rng = b.LabelRanges[want]
	}
	f.add(rng, "Wrong number of labels", "%s is written as: %s", b.Type, t.header())
	return false
}

// header is how the block begins: `change "NAME" { … }`.
func (b *block) header() string {
	words := []string{b.name}
	for i, l := range b.labels {
		if b.optionalLabel && i == len(b.labels)-1 {
			words = append(words, "["+quote(l)+"]")
			continue
		}
		words = append(words, quote(l))
	}
	return strings.Join(words, " ") + " { … }"
}

func (f fitter) variant(t *block, b *hclsyntax.Block) *block {
	kind := b.Labels[0]
	v := t.variant(kind)
	if v != nil {
		named := *v
		named.labels = t.labels
		return &named
	}
	var kinds []string
	for _, v := range t.variants {
		kinds = append(kinds, v.name)
	}
	if slices.Contains(t.later, kind) {
		f.add(b.LabelRanges[0], "Not supported yet", "The %s kind %s is not supported by this version. There is: %s.", t.name, quote(kind), among(kinds))
		return nil
	}
	f.add(b.LabelRanges[0], "Unknown kind of "+t.name, "There is no %s kind %s.%s There is: %s.", t.name, quote(kind), DidYouMean(kind, kinds), among(kinds))
	return nil
}

func (f fitter) attributes(n *node) {
	if n.table.open {
		return
	}
	for _, a := range sortedAttributes(n.syntax.Body) {
		if _, ok := n.table.attribute(a.Name); !ok {
			f.unknownAttribute(n.table, n.title(), a)
		}
	}
	for _, a := range n.table.attributes {
		if a.required && !n.has(a.name) {
			f.add(n.rng(), "Missing argument", "%s needs the argument %s. %s", n.title(), a.name, a.doc)
		}
	}
}

func (f fitter) unknownAttribute(t *block, owner string, a *hclsyntax.Attribute) {
	if slices.Contains(t.later, a.Name) {
		f.add(a.NameRange, "Not supported yet", "The argument %s of %s is not supported by this version.", a.Name, owner)
		return
	}
	if c := t.block(a.Name); c != nil {
		f.add(a.NameRange, "Unsupported argument", "In %s, %s is a block. Write it without the equals sign: %s", owner, a.Name, c.header())
		return
	}
	if inner := t.blocksWith(a.Name); len(inner) > 0 {
		f.add(a.NameRange, "Unsupported argument", "%s takes no argument %s of its own. Write it into a block in there: %s.", upperFirst(owner), a.Name, among(inner))
		return
	}
	f.add(a.NameRange, "Unsupported argument", "%s takes no argument %s.%s", upperFirst(owner), a.Name, DidYouMean(a.Name, t.attributeNames()))
}

func (f fitter) unknownBlock(t *block, owner string, b *hclsyntax.Block) {
	for _, m := range t.misplaced {
		if m.name == b.Type {
			f.add(b.DefRange(), m.summary, "%s", m.detail(b.Labels))
			return
		}
	}
	if slices.Contains(t.later, b.Type) {
		f.add(b.TypeRange, "Not supported yet", "The block %s of %s is not supported by this version.", b.Type, owner)
		return
	}
	if _, ok := t.attribute(b.Type); ok {
		f.add(b.TypeRange, "Unsupported block", "In %s, %s is an argument. Write it with an equals sign: %s = …", owner, b.Type, b.Type)
		return
	}
	f.add(b.TypeRange, "Unsupported block", "%s takes no block %s.%s", upperFirst(owner), b.Type, DidYouMean(b.Type, t.blockNames()))
}

// twice reports blocks of which a parent has more than it may.
func (f fitter) twice(t *block, nodes []*node) {
	first := map[string]*node{}
	for _, n := range nodes {
		table := t.block(n.syntax.Type)
		if !table.single && !table.unique || n.has(forEachName) || table.optionalLabel && len(n.labels) == 0 {
			continue
		}
		key := n.title()
		if was, ok := first[key]; ok {
			f.duplicate(n.rng(), was.rng(), key)
			continue
		}
		first[key] = n
	}
}

// duplicate reports the second of two declarations of the same thing.
func (p *problems) duplicate(second, first hcl.Range, title string) {
	p.addRelated(second, Related{{first, "first declared here"}}, "Declared twice",
		"%s is already declared at %s:%d.", title, first.Filename, first.Start.Line)
}

func (f fitter) missingBlocks(n *node) {
	for _, c := range n.table.blocks {
		if c.required && n.block(c.name) == nil && !refused(n, c.name) {
			f.add(n.rng(), "Missing block", "%s needs a block %s", n.title(), c.header())
		}
	}
}

// refused tells whether the author wrote such a block and it was not usable.
func refused(n *node, name string) bool {
	return slices.ContainsFunc(n.syntax.Body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == name })
}

func upperFirst(s string) string {
	if word, _, _ := strings.Cut(s, " "); s == "" || strings.Contains(word, "_") {
		return s // it begins with a word of the language, which stays as it is written
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
