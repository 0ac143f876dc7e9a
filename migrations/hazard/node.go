package hazard

import "strings"

// node is one message of the parse tree in its JSON form. Fields that hold
// their default are absent, so a missing field reads as the zero value.
type node map[string]any

// item is a node of a kind that only the tree tells.
type item struct {
	kind string
	node node
}

func (n node) text(field string) string {
	s, _ := n[field].(string)
	return s
}

func (n node) number(field string) int {
	f, _ := n[field].(float64)
	return int(f)
}

func (n node) flag(field string) bool {
	b, _ := n[field].(bool)
	return b
}

func (n node) has(field string) bool { return n[field] != nil }

// child is a field whose kind the grammar fixes.
func (n node) child(field string) node {
	m, _ := n[field].(map[string]any)
	return m
}

// item is a field of any kind; the zero item when it is absent.
func (n node) item(field string) item { return itemOf(n[field]) }

func (n node) items(field string) []item {
	list, _ := n[field].([]any)
	items := make([]item, 0, len(list))
	for _, v := range list {
		items = append(items, itemOf(v))
	}
	return items
}

func itemOf(v any) item {
	m, _ := v.(map[string]any)
	for kind, fields := range m {
		inner, _ := fields.(map[string]any)
		return item{kind: kind, node: inner}
	}
	return item{}
}

// words are the strings of a list.
func (n node) words(field string) []string { return wordsOf(n.items(field)) }

func wordsOf(items []item) []string {
	var all []string
	for _, i := range items {
		if i.kind == "String" {
			all = append(all, i.node.text("sval"))
		}
	}
	return all
}

// name is an item that names an object: a list of words, a type or a function
// with its arguments.
func (i item) name() string {
	switch i.kind {
	case "List":
		return strings.Join(i.node.words("items"), ".")
	case "TypeName":
		return strings.Join(i.node.words("names"), ".")
	case "ObjectWithArgs":
		return strings.Join(i.node.words("objname"), ".")
	case "String":
		return i.node.text("sval")
	}
	return ""
}

// walk visits v and everything below it, parents first. A visit that answers
// false is not followed further down.
func walk(v any, visit func(kind string, n node) bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	case node:
		walk(map[string]any(v), visit)
	case map[string]any:
		for field, e := range v {
			inner, ok := e.(map[string]any)
			if ok && !visit(field, inner) {
				continue
			}
			walk(e, visit)
		}
	}
}
