package spec

import (
	"github.com/zclconf/go-cty/cty"
)

// maxInstances is how many blocks one for_each may make.
const maxInstances = 10_000

// eachLabel is the label of a release block with for_each.
const eachLabel = "each"

// instance is one thing that a block declares: the block itself, or one
// element of its for_each.
type instance struct {
	node *node
	name string
	key  string // of for_each
}

// instances are what the block declares, in the order of their keys.
func instances(n *node, named func(label, key string) string) []instance {
	if !n.has(forEachName) {
		return []instance{{node: n, name: n.labels[0]}}
	}
	v, ok := n.value(forEachName)
	if !ok {
		return nil
	}
	if v.ContainsMarked() {
		if bare, marks := v.Unmark(); len(marks) > 0 || bare.Type().IsSetType() {
			n.problems.add(n.at(forEachName), "Sensitive value in for_each", "The keys become names, which are shown in plans and messages.")
			return nil
		}
	}
	if !eachable(v) {
		n.problems.add(n.at(forEachName), "Wrong type", "for_each takes a map, or a set of strings such as toset([\"a\", \"b\"]).")
		return nil
	}
	if v.LengthInt() > maxInstances {
		n.problems.add(n.at(forEachName), "Too many elements", "for_each makes at most %d blocks.", maxInstances)
		return nil
	}
	return elements(n, v, named)
}

func elements(n *node, v cty.Value, named func(label, key string) string) []instance {
	var list []instance
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if v.Type().IsSetType() {
			k = e
		}
		if k.IsNull() || k.AsString() == "" {
			n.problems.add(n.at(forEachName), "Empty key", "A key of for_each becomes a name and cannot be empty.")
			continue
		}
		key := k.AsString()
		list = append(list, instance{
			node: n.in(n.scope.withEach(key, e)), name: named(n.labels[0], key), key: key,
		})
	}
	return list
}

func eachable(v cty.Value) bool {
	t := v.Type()
	if t.IsSetType() {
		return t.ElementType() == cty.String
	}
	return t.IsMapType() || t.IsObjectType()
}

// labelled names an element of a service or a change.
func labelled(label, key string) string { return label + "_" + key }

// keyed names an element of a release.
func keyed(_, key string) string { return key }
