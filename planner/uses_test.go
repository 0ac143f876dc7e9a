package planner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// What uses a column or a type that a step takes away or replaces decides what
// the step does: a plan is stale once that has changed. What uses another column
// is nobody's business.
func TestWhatUsesAColumnIsInTheReadSet(t *testing.T) {
	const text = `database "main" {
  url = "postgres://localhost/app"
}
change "numbers" {
  change_type "users" "visits" {
    type = "bigint"
  }
}
change "no_mood" {
  contract {
    drop_enum "mood" {}
  }
}`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.pleat.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	live := func() *planner.State {
		return &planner.State{Databases: map[string]*planner.Database{"main": {Catalog: &migrations.Catalog{
			Version: 18,
			Enums:   map[string][]string{"mood": {"low"}}, TypeUses: map[string][]migrations.TypeUse{},
			Tables: map[string]*migrations.Table{"users": {
				Columns:    []migrations.Column{{Name: "id", Type: "bigint", NotNull: true}, {Name: "visits", Type: "text"}, {Name: "name", Type: "text"}},
				PrimaryKey: []string{"id"}, PrimaryKeyName: "users_pkey",
			}},
		}}}}
	}
	plan, diags := planner.Make(sp, live(), planner.Goal{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	tests := []struct {
		name   string
		meddle func(*migrations.Catalog)
		want   string // "" = the plan is not stale
	}{
		{"a view of it", func(c *migrations.Catalog) {
			c.Tables["users"].Dependents = []migrations.Dependent{{Column: "visits", Object: "view v"}}
		}, "database.main users.visits uses was absent, is «view v»"},
		{"an index of it", func(c *migrations.Catalog) {
			c.Tables["users"].Indexes = []migrations.Index{{Name: "i", Definition: "CREATE INDEX i ON public.users USING btree (lower(visits))", Valid: true}}
		}, "users.visits uses was absent, is «CREATE INDEX i"},
		{"a key to it", func(c *migrations.Catalog) {
			c.Tables["users"].References = []migrations.ForeignKey{{Name: "k", Table: "orders", Referenced: []string{"visits"}}}
		}, "users.visits uses was absent, is «k of orders»"},
		{"a column of the type", func(c *migrations.Catalog) {
			c.TypeUses["mood"] = []migrations.TypeUse{{Object: "column mood of table cats"}}
		}, "database.main uses of type mood was absent, is «column mood of table cats»"},
		{"a view of another column", func(c *migrations.Catalog) {
			c.Tables["users"].Dependents = []migrations.Dependent{{Column: "name", Object: "view v"}}
		}, ""},
		{"an index of another column", func(c *migrations.Catalog) {
			c.Tables["users"].Indexes = []migrations.Index{{Name: "visits", Definition: "CREATE INDEX visits ON public.users USING btree (name)", Valid: true}}
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st := live()
			test.meddle(st.Databases["main"].Catalog)
			got := strings.Join(planner.Changed(plan.ReadSet, plan.Scope.Facts(st)), "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("changed is %q, want %q", got, test.want)
			}
		})
	}
}
