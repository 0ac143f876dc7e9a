package migrations_test

import (
	"testing"

	"pleat/migrations"
	"pleat/spec"
)

// Nobody meets the long lock of an exclusion constraint whose risk was not
// allowed by name; a table that the change makes has nobody on it.
func TestExclusionIsAHazardUnlessItIsAllowed(t *testing.T) {
	on := func(table spec.Table, allow ...string) *spec.AddExclusion {
		return &spec.AddExclusion{Table: table, Name: "x", Method: "gist", Elements: []string{"name WITH ="}, Allow: allow}
	}
	made := &spec.CreateTable{Table: spec.ParseTable("made"), Columns: []spec.Column{{Name: "name", Type: "text"}}}
	tests := []struct {
		name   string
		change *spec.Change
		want   int
	}{
		{"a table that is there", expand(on(users)), 1},
		{"allowed", expand(on(users, "exclusion_constraint")), 0},
		{"another one allowed", expand(on(users, "unique_builds_index")), 1},
		{"a new table", expand(made, on(made.Table)), 0},
		{"in contract", contract(on(users)), 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := lower(t, test.change, live())
			var hazards []migrations.Hazard
			for _, u := range append(p.Expand, p.Hide...) {
				hazards = append(hazards, u.Hazards...)
			}
			if len(hazards) != test.want {
				t.Errorf("hazards %v, want %d", hazards, test.want)
			}
		})
	}
}
