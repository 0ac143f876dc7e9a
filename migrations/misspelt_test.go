package migrations_test

import (
	"maps"
	"strings"
	"testing"

	"pleat/migrations"
	"pleat/spec"
)

// A name that nothing is called, and something has one like it.
func TestWhatIsMisspeltIsNotTakenForDropped(t *testing.T) {
	near := migrations.Refusal{Code: "42P01", Nearest: "nearby"}
	tests := []struct {
		name   string
		change *spec.Change
		title  string // of what is to be dropped
		word   string // its name
		want   string
	}{
		{"column", contract(&spec.DropColumn{Table: users, Column: "nmae"}), "column users.nmae", "nmae", "Unknown column: Table users has no column nmae. Did you mean name? It has id, name."},
		{"constraint", contract(&spec.DropConstraint{Table: users, Name: "not_y"}), "constraint not_y on users", "not_y", "Unknown constraint: Table users has no constraint not_y. Did you mean not_x? It has not_x."},
		{"constraint in expand", expand(&spec.DropConstraint{Table: users, Name: "not_y", Definition: "CHECK (id > 0)"}), "constraint not_y on users", "not_y", "Did you mean not_x?"},
		{"index", contract(&spec.DropIndex{Schema: "public", Name: "nearly"}), "index nearly", "nearly", "Unknown index: There is no index nearly. Did you mean nearby?"},
		{"table", contract(&spec.DropTable{Table: spec.ParseTable("shop.nearly")}), "table shop.nearly", "nearly", "Unknown table: There is no table shop.nearly. Did you mean shop.nearby?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cat := live()
			cat.Tables["users"].Constraints = []migrations.Constraint{{Name: "not_x", Kind: migrations.Check, Definition: "CHECK ((name <> 'x'::text))", Columns: []string{"name"}, Valid: true}}
			if said, _ := refusing(test.change, cat, migrations.Recorded{}, "nearly", near); !strings.Contains(said, test.want) {
				t.Errorf("said %q, want %q", said, test.want)
			}
			p := lower(t, test.change, cat)
			if said, asked := refusing(test.change, cat, recorded(p, migrations.Contracted), "", near); said != "" || asked {
				t.Errorf("pleat dropped it, and yet %q, asked %t", said, asked)
			}
			cat.Named = map[string]bool{test.title: true}
			if said, asked := refusing(test.change, cat, migrations.Recorded{}, "", near); said != "" || asked {
				t.Errorf("the spec makes it, and yet %q, asked %t", said, asked)
			}
			cat.Named, cat.Written = nil, []migrations.Promise{{SQL: "create thing " + test.word}}
			if said, asked := refusing(test.change, cat, migrations.Recorded{}, "", near); said != "" || asked {
				t.Errorf("SQL names it, and yet %q, asked %t", said, asked)
			}
		})
	}
}

// The server numbers the names that it gives: a number more or less is another one's.
func TestANumberBehindANameIsAnothersName(t *testing.T) {
	for name, change := range map[string]*spec.Change{
		"index":      contract(&spec.DropIndex{Schema: "public", Name: "nearby1"}),
		"constraint": contract(&spec.DropConstraint{Table: users, Name: "nearby1"}),
	} {
		for near, want := range map[string]bool{"nearby": false, "nearby2": true} {
			cat := live()
			cat.Tables["users"].Constraints = []migrations.Constraint{{Name: near, Kind: migrations.Check, Definition: "CHECK ((name <> 'x'::text))", Valid: true}}
			said, _ := refusing(change, cat, migrations.Recorded{}, "nearby1", migrations.Refusal{Code: "42P01", Nearest: near})
			if strings.Contains(said, "Did you mean "+near) != want {
				t.Errorf("%s nearby1 beside %s: said %q", name, near, said)
			}
		}
	}
}

// What only takes a thing away does not say that its name is right.
func TestNamedIsWhatIsMade(t *testing.T) {
	key := &spec.AddUnique{Table: users, Name: "k", Columns: []string{"name"}}
	got := migrations.Named([]spec.Operation{
		key, &spec.DropColumn{Table: users, Column: "c"}, &spec.DropConstraint{Table: users, Name: "d"},
		&spec.DropIndex{Schema: "public", Name: "i"}, &spec.DropTable{Table: orders},
	})
	want := map[string]bool{"table users": true, "column users.name": true, "constraint k on users": true, "index k": true}
	if !maps.Equal(got, want) {
		t.Errorf("named %v, want %v", got, want)
	}
}

// What the server writes alike is the same, whatever the author wrote.
func TestTheServerTellsWhatIsTheSame(t *testing.T) {
	index := expand(&spec.CreateIndex{Name: "odd", Table: users, Columns: []string{"(id % 2) desc", "name"}, Where: "id between 3 and 4"})
	check := expand(&spec.AddCheck{Table: users, Name: "few", Expression: "id between 3 and 4"})
	for name, c := range map[string]*spec.Change{"index": index, "check": check} {
		for _, same := range []bool{true, false} {
			cat := live()
			cat.Tables["users"].Indexes = []migrations.Index{{Name: "odd", Valid: true,
				Definition: "CREATE INDEX odd ON public.users USING btree (mod(id, 2) DESC, name) WHERE ((id >= 3) AND (id <= 4))"}}
			cat.Tables["users"].Constraints = []migrations.Constraint{{Name: "few", Kind: migrations.Check, Valid: true, Definition: "CHECK (((id >= 3) AND (id <= 4)))"}}
			p := lower(t, c, cat)
			readings := p.Readings(migrations.Recorded{})
			if len(readings) != 2 || !p.Conflicts(migrations.Recorded{}).HasErrors() {
				t.Fatalf("%s: asked %v", name, readings)
			}
			if said := p.Readings(recorded(p, migrations.Expanded)); len(said) > 0 {
				t.Errorf("%s: pleat made it, and yet asks %v", name, said)
			}
			cat.Wordings = map[migrations.Reading]string{readings[0]: "a", readings[1]: "b"}
			if same {
				cat.Wordings[readings[1]] = "a"
			}
			if got := !lower(t, c, cat).Conflicts(migrations.Recorded{}).HasErrors(); got != same {
				t.Errorf("%s: the same: %t, want %t", name, got, same)
			}
		}
	}
}
