package spec

import (
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// maxIdentifier is the length at which Postgres silently cuts names off.
const maxIdentifier = 63

// NewPrefix begins the names of what pleat makes beside something that it is to
// replace, until it takes over the name.
const NewPrefix = "pleat_new_"

// identifierProblem says what is wrong with the name of a database object, or
// "".
func identifierProblem(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxIdentifier:
		return "it has more than 63 bytes, and Postgres would cut it off"
	case strings.ContainsRune(name, 0):
		return "it contains a NUL byte"
	case !utf8.ValidString(name):
		return "it is not valid UTF-8"
	}
	return ""
}

func (p *problems) identifierAt(rng hcl.Range, name string) bool {
	reason := identifierProblem(name)
	if reason == "" {
		return true
	}
	p.add(rng, "Invalid identifier", "%s cannot be the name of a database object: %s.", quote(name), reason)
	return false
}

// tableLabel reads the name of a table in label i.
func (n *node) tableLabel(i int) Table { return n.problems.parseTable(n.labelRange(i), n.labels[i]) }

func (p *problems) parseTable(rng hcl.Range, name string) Table {
	if strings.Count(name, ".") > 1 {
		p.add(rng, "Invalid table", "A table is NAME or SCHEMA.NAME.")
		return Table{}
	}
	t := ParseTable(name)
	if p.identifierAt(rng, t.Schema) {
		p.identifierAt(rng, t.Name)
	}
	return t
}
