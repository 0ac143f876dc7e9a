package planner

import (
	"fmt"
	"regexp"

	"pleat/migrations"
	"pleat/migrations/hazard"
	"pleat/spec"
)

// Function is one of the database's own, with its text.
type Function struct {
	Name     string `json:"name"` // with its schema
	Language string `json:"language"`
	Body     string `json:"body"`
}

// called has a step that takes something out of sight wait for a person's word
// where functions use it: Postgres keeps no record of what is in their bodies,
// and they fail when they are called next. What only mentions it is a note.
func (e *emitter) called(c *spec.Change, s *Step) {
	db := e.state.Databases[c.Database.Name]
	if db == nil || db.Circumstances == nil {
		return
	}
	for _, use := range append(usesOf(c), formerNames(c)...) {
		for _, f := range db.Circumstances.Functions {
			switch {
			case f.reads(use):
				s.Hazards = append(s.Hazards, migrations.NewHazard("used_by_function", "the function %s uses %s, and fails from then on", f.Name, use))
			case f.mentions(use):
				e.note(fmt.Sprintf("the function %s (%s) mentions %s; whether it uses it cannot be told", f.Name, f.Language, use))
			}
		}
	}
}

// formerNames are those of tables that a contract retires.
func formerNames(c *spec.Change) []Use {
	var out []Use
	for _, op := range c.Contract.Operations {
		if o, ok := op.(*spec.RetireName); ok {
			out = append(out, Use{Table: o.Table})
		}
	}
	return out
}

// reads tells by the grammar, for bodies that are SQL.
func (f Function) reads(u Use) bool {
	if f.Language != "sql" {
		return false
	}
	used, err := hazard.Uses(f.Body, hazard.Target{Schema: u.Table.Schema, Table: u.Table.Name, Columns: u.Columns})
	return used && err == nil
}

// mentions looks for the words in a body that the grammar does not read.
func (f Function) mentions(u Use) bool {
	if f.Language == "sql" {
		if _, err := hazard.Uses(f.Body, hazard.Target{}); err == nil {
			return false
		}
	}
	for _, name := range append([]string{u.Table.Name}, u.Columns...) {
		if !regexp.MustCompile(`(?i)(^|\W)` + regexp.QuoteMeta(name) + `($|\W)`).MatchString(f.Body) {
			return false
		}
	}
	return true
}
