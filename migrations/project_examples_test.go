package migrations_test

import (
	"os"
	"slices"
	"testing"

	"pleat/migrations"
	"pleat/spec"
)

// Every example of the documentation, from any phase to any other.
func TestExamplesAreProjectedIntoTheirPhases(t *testing.T) {
	source, err := os.ReadFile(examplesFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range loadExamples(t, source) {
		t.Run(name, func(t *testing.T) {
			through := passed(lower(t, c, exampleTables()))
			for _, from := range through {
				start := migrations.Project(exampleTables(), lower(t, c, exampleTables()), from)
				for _, to := range through {
					p := lower(t, c, start)
					before, _ := p.Phase(recorded(p, from))
					got := lower(t, c, migrations.Project(start, p, to))
					phase, drift := got.Phase(recorded(got, to))
					if before != from || phase != to || len(drift) > 0 {
						t.Errorf("from %s (taken for %s) to %s: taken for %s, drift %q", from, before, to, phase, drift)
					}
				}
			}
		})
	}
}

// passed are the phases in which a change can be told from what comes before.
func passed(p *migrations.Program) []migrations.Phase {
	var all []migrations.Phase
	if visible(p.Expand) {
		all = append(all, migrations.Absent, migrations.Expanded)
	}
	if visible(p.Validate) && !replaces(p.Change) {
		all = append(all, migrations.Verified)
	}
	if visible(p.Hide) {
		all = append(all, migrations.Hidden)
	}
	if visible(p.Drop) {
		all = append(all, migrations.Contracted)
	}
	return all
}

// replaces tells whether a change makes indexes and keys beside those that are
// there, which are not projected.
func replaces(c *spec.Change) bool {
	return c.Contract != nil && slices.ContainsFunc(c.Contract.Operations, func(op spec.Operation) bool {
		_, ok := op.(*spec.ReplaceColumn)
		return ok
	})
}

func visible(units []migrations.Unit) bool {
	return slices.ContainsFunc(units, func(u migrations.Unit) bool { return u.Visible })
}
