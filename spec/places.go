package spec

import (
	"strconv"

	"github.com/hashicorp/hcl/v2"
)

// Places are where the values of a block's arguments stand, by the argument's
// name; elements of a list by "columns.0", those of an object by "set.name". They
// say nothing of what the block means.
type Places map[string]hcl.Range

// Of is where a value stands; otherwise, where the author did not give it.
func (p Places) Of(argument string, otherwise hcl.Range) hcl.Range {
	if rng, ok := p[argument]; ok {
		return rng
	}
	return otherwise
}

// places are those of the arguments that the block has.
func (n *node) places(arguments ...string) Places {
	p := Places{}
	for _, a := range arguments {
		if n.has(a) {
			p[a] = n.at(a)
		}
	}
	return p
}

// Element names an element of a list for Places.
func Element(argument string, i int) string { return argument + "." + strconv.Itoa(i) }

// list adds the elements of an argument.
func (p Places) list(n *node, argument string, values []string) Places {
	for i := range values {
		p[Element(argument, i)] = n.atElement(argument, i)
	}
	return p
}

// keys adds what an argument gives to names.
func (p Places) keys(n *node, argument string, values map[string]string) Places {
	for name := range values {
		p[argument+"."+name] = n.atKey(argument, name)
	}
	return p
}
