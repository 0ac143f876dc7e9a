package migrations_test

import (
	"slices"
	"testing"

	"pleat/migrations"
	"pleat/spec"
)

// A copy of an index is in the tablespace of that, which no definition says.
func TestACopyOfAnIndexIsWhereTheIndexIs(t *testing.T) {
	users := spec.ParseTable("users")
	change := &spec.Change{
		Name: "c",
		Expand: []spec.Operation{
			&spec.AddColumn{Table: users, Column: spec.Column{Name: "pleat_new_a", Type: "bigint"}},
			&spec.Sync{Table: users, Forward: map[string]string{"pleat_new_a": "a"}, Backward: map[string]string{"a": "pleat_new_a"}},
		},
		Contract: &spec.Contract{Operations: []spec.Operation{&spec.ReplaceColumn{Table: users, Column: "a", By: "pleat_new_a", Type: "bigint"}}},
	}
	for definition, want := range map[string]string{
		"btree (a)": `CREATE INDEX CONCURRENTLY "pleat_new_i" ON "public"."users" USING btree ("pleat_new_a") TABLESPACE "fast"`,
		"btree (a) WITH (fillfactor='70') WHERE (a > (CASE WHEN true THEN 1 ELSE 2 END))": `CREATE INDEX CONCURRENTLY "pleat_new_i" ON "public"."users" USING btree ("pleat_new_a") WITH (fillfactor='70') TABLESPACE "fast" WHERE ("pleat_new_a" > (CASE WHEN true THEN 1 ELSE 2 END))`,
	} {
		cat := &migrations.Catalog{Version: 15, Tables: map[string]*migrations.Table{"users": {
			Columns: []migrations.Column{{Name: "a", Type: "integer"}},
			Indexes: []migrations.Index{{Name: "i", Definition: "CREATE INDEX i ON public.users USING " + definition, Valid: true, Tablespace: "fast"}},
		}}}
		p, diags := migrations.Lower(change, cat)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if at := slices.IndexFunc(p.Validate, func(u migrations.Unit) bool { return len(u.Statements) > 0 && u.Statements[0] == want }); at < 0 {
			t.Errorf("no unit is %s: %+v", want, p.Validate)
		}
	}
}
