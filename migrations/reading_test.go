package migrations_test

import (
	"slices"
	"strings"
	"testing"

	"pleat/migrations"
	"pleat/spec"
)

// refusing is what is said of a change whose readings that have a text in them the
// server refuses.
func refusing(c *spec.Change, cat *migrations.Catalog, rec migrations.Recorded, text string, r migrations.Refusal) (said string, asked bool) {
	p, _ := migrations.Lower(c, cat)
	cat.Refusals = map[migrations.Reading]migrations.Refusal{}
	for _, reading := range p.Readings(rec) {
		if strings.Contains(reading.SQL, text) {
			cat.Refusals[reading], asked = r, true
		}
	}
	p, _ = migrations.Lower(c, cat)
	for _, d := range p.Conflicts(rec) {
		said += d.Summary + ": " + d.Detail + "\n"
	}
	return said, asked
}

func TestWhatTheServerCanMakeNoSenseOfIsSaid(t *testing.T) {
	noType := migrations.Refusal{Code: "42704", Message: `type "txet" does not exist`, Name: "txet", Nearest: "text"}
	noColumn := migrations.Refusal{Code: "42703", Message: `column "nmae" does not exist`, Name: "nmae"}
	noOperator := migrations.Refusal{Code: "42883", Message: "operator does not exist: text > integer", Hint: "Add casts."}
	noFunction := migrations.Refusal{Code: "42883", Message: "function lower(bigint) does not exist"}
	typed := expand(add(spec.Column{Name: "bio", Type: "txet"}))
	tests := []struct {
		name     string
		change   *spec.Change
		promised []migrations.Promise
		text     string
		refusal  migrations.Refusal
		want     string // "" = no complaint
	}{
		{"type", typed, nil, "txet", noType, `Unknown type: Postgres says of the type of column bio of table users: type "txet" does not exist. Did you mean text?`},
		{"type of a new table", expand(&spec.CreateTable{Table: spec.ParseTable("t"), Columns: []spec.Column{{Name: "bio", Type: "txet"}}}), nil, "txet", noType, "Unknown type"},
		{"type that SQL makes", typed, []migrations.Promise{{SQL: "create type txet as enum ('a')"}}, "txet", noType, ""},
		{"type that an extension may make", typed, []migrations.Promise{{SQL: "create extension txet_types"}}, "txet", noType, ""},
		{"type of another schema that SQL makes", typed, []migrations.Promise{{SQL: "create type txet as enum ('a')"}}, "txet", migrations.Refusal{Code: "42704", Name: `shop."txet"`}, ""},
		{"type that SQL makes under a longer name", typed, []migrations.Promise{{SQL: "create type txet_2 as enum ('a')"}}, "txet", noType, "Unknown type"},
		{"type that is locked", typed, nil, "txet", migrations.Refusal{Code: "55P03", Message: "canceling statement due to lock timeout"}, ""},
		{"default that is a word", expand(add(spec.Column{Name: "bio", Type: "text", Default: "none"})), nil, "(none)",
			migrations.Refusal{Code: "42703", Message: `column "none" does not exist`, Name: "none"},
			`Invalid default: The default of column bio of table users is "none", and a default names no column. A text has quotes in SQL: "'none'"`},
		{"default that is a value to come", expand(add(spec.Column{Name: "bio", Type: "mood", Default: "'ok'"})), []migrations.Promise{{Name: "ok"}}, "'ok'",
			migrations.Refusal{Code: "22P02", Message: `invalid input value for enum mood: "ok"`, Name: "'ok'"}, ""},
		{"generated", expand(add(spec.Column{Name: "bio", Type: "text", Generated: "lower(nmae)", Virtual: true})), nil, "nmae",
			migrations.Refusal{Code: "42703", Message: `column "nmae" does not exist`, Name: "nmae"},
			"Unknown column: The expression of column bio of table users is \"lower(nmae)\". Table users has no column nmae. Did you mean name? It has id, name."},
		{"check", expand(&spec.AddCheck{Table: users, Name: "named", Expression: "nmae <> ''"}), nil, "nmae", noColumn,
			`Unknown column: The check named is "nmae <> ''". Table users has no column nmae. Did you mean name? It has id, name.`},
		{"check of a column that SQL makes", expand(&spec.AddCheck{Table: users, Name: "named", Expression: "nmae <> ''"}), []migrations.Promise{{SQL: "alter table users add nmae text"}}, "nmae", noColumn, ""},
		{"check that compares the incomparable", contract(&spec.AddCheck{Table: users, Name: "named", Expression: "name > 0"}), nil, "name", noOperator,
			`Invalid check: Postgres says of the check named, "name > 0": operator does not exist: text > integer. Add casts.`},
		{"check of a new table", expand(&spec.CreateTable{Table: spec.ParseTable("t"), Columns: []spec.Column{{Name: "n", Type: "int"}}, Checks: []*spec.AddCheck{{Table: spec.ParseTable("t"), Name: "c", Expression: "m > 0"}}}), nil, "m > 0",
			migrations.Refusal{Code: "42703", Name: "m"}, "Table t has no column m. Did you mean n? It has n."},
		{"expression of an index", expand(&spec.CreateIndex{Name: "i", Table: users, Columns: []string{"(lower(nmae)) text_pattern_ops desc"}}), nil, "(lower(nmae))", noColumn, "Unknown column: A column of index i is"},
		{"condition of an index", expand(&spec.CreateIndex{Name: "i", Table: users, Columns: []string{"name"}, Where: "nmae > ''"}), nil, "nmae", noColumn, "Unknown column: The condition of index i is"},
		{"element without a class", expand(&spec.CreateIndex{Name: "i", Table: users, Columns: []string{"name"}, Method: "gin"}), nil, `SELECT "name"`,
			migrations.Refusal{Code: "42704", Message: `data type text has no default operator class for access method "gin"`}, "No operator class: Postgres says of a column of index i: data type text has no default"},
		{"element with a class that an extension may bring", expand(&spec.CreateIndex{Name: "i", Table: users, Columns: []string{"name gin_trgm_ops"}, Method: "gin"}), []migrations.Promise{{SQL: "create extension pg_trgm"}}, `SELECT "name"`,
			migrations.Refusal{Code: "42704", Name: "gin_trgm_ops"}, ""},
		{"element of an exclusion without a class", expand(&spec.AddExclusion{Table: users, Name: "x", Method: "gist", Elements: []string{"id WITH ="}}), nil, "SELECT id FROM",
			migrations.Refusal{Code: "42704", Message: `data type bigint has no default operator class for access method "gist"`}, `No operator class: Postgres says of an element of x: data type bigint has no default`},
		{"element of an exclusion", expand(&spec.AddExclusion{Table: users, Name: "x", Method: "gist", Elements: []string{"int4range(id, nmae) WITH &&"}}), nil, "int4range(id, nmae)", noColumn, "Unknown column: An element of x is"},
		{"what a sync computes", expand(first, sync("lower(nmae)", "first")), nil, "nmae", noColumn, "Unknown column: What column first of table users is set to is"},
		{"what a back-fill computes", filled("users", "name", "lower(nmae)"), nil, "nmae", noColumn, "Unknown column: What column name of table users is set to is"},
		{"new default", expand(&spec.SetDefault{Table: users, Column: "id", Default: "'x'"}), nil, "'x'",
			migrations.Refusal{Code: "22P02", Message: `invalid input syntax for type bigint: "x"`, Name: "'x'"}, "Invalid default: Postgres says of the default of column id of table users"},
		{"verify", verified("select nmae from users"), nil, "nmae", noColumn, `Invalid verify: Postgres says of the sql of verify v: column "nmae" does not exist.`},
		{"verify of a function of other arguments", verified("select lower(id) from users"), nil, "lower", migrations.Refusal{Code: "42883", Name: "lower"}, ""},
		{"verify of no function", verified("select lwoer(name) from users"), nil, "lwoer", migrations.Refusal{Code: "42883", Name: "lwoer", Nearest: "lower"}, "Did you mean lower?"},
		{"key of another type", expand(&spec.AddForeignKey{Table: users, Name: "k", Columns: []string{"name"}, References: spec.ParseTable("old_users"), To: []string{"id"}}), nil, "a = b", noOperator,
			"Types that do not compare: Column users.name is text, and old_users.id, which it refers to, is bigint"},
		{"check that a change of type makes anew", swapped("users", "name", "pleat_new_name"), nil, "<> 'x'::text", noOperator,
			"Check of the former type: The check not_x of users is made anew for the column of the new type, and Postgres says of it there: operator does not exist: text > integer.\n  CHECK ((name <> 'x'::text))\n"},
		{"index that a change of type makes anew", swapped("users", "name", "pleat_new_name"), nil, `(lower("pleat_new_name"))`, noFunction,
			"Index of the former type: The index any_case of users is made anew for the column of the new type, and Postgres says of it there: function lower(bigint) does not exist.\n  CREATE INDEX any_case ON public.users USING btree (id, lower(name) text_pattern_ops) WHERE (name <> ''::text)\n"},
		{"condition of an index that a change of type makes anew", swapped("users", "name", "pleat_new_name"), nil, `("pleat_new_name" <> ''::text)`, noOperator, "Index of the former type: The index any_case of users"},
		{"statistics that a change of type makes anew", swapped("users", "name", "pleat_new_name"), nil, `(lower("pleat_new_name"), 1)`, noFunction, "Statistics object of the former type: The statistics object spread of users"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cat := live()
			cat.Tables["users"].Indexes = []migrations.Index{{Name: "any_case", Definition: "CREATE INDEX any_case ON public.users USING btree (id, lower(name) text_pattern_ops) WHERE (name <> ''::text)", Valid: true}}
			cat.Tables["users"].Statistics = []migrations.Statistics{{Name: "spread", Definition: "CREATE STATISTICS public.spread ON id, coalesce(lower(name), 1) FROM users"}}
			cat.Tables["old_users"].PrimaryKey = []string{"id"}
			cat.Tables["users"].Constraints = []migrations.Constraint{{Name: "not_x", Kind: migrations.Check, Definition: "CHECK ((name <> 'x'::text))", Columns: []string{"name"}, Valid: true}}
			cat.Promised = test.promised
			said, asked := refusing(test.change, cat, migrations.Recorded{}, test.text, test.refusal)
			if !asked {
				t.Fatalf("nothing is asked of %s", test.text)
			}
			if test.want == "" && said != "" || !strings.Contains(said, test.want) {
				t.Errorf("said %q, want %q", said, test.want)
			}
		})
	}
}

// Plain names need no server.
func TestAColumnThatIsNotThereIsSaid(t *testing.T) {
	for name, c := range map[string]*spec.Change{
		"index":             expand(&spec.CreateIndex{Name: "i", Table: users, Columns: []string{"nmae desc"}}),
		"beside an index":   expand(&spec.CreateIndex{Name: "i", Table: users, Columns: []string{"id"}, Include: []string{"nmae"}}),
		"exclusion":         expand(&spec.AddExclusion{Table: users, Name: "x", Method: "gist", Elements: []string{"nmae WITH ="}}),
		"back-fill":         filled("users", "nmae", "'x'"),
		"index of new ones": expand(first, &spec.CreateIndex{Name: "i", Table: users, Columns: []string{"first", "nmae"}}),
	} {
		cat := live()
		p, _ := migrations.Lower(c, cat)
		if got := p.Conflicts(migrations.Recorded{}); len(got) != 1 || !strings.HasPrefix(got[0].Detail, "Table users has no column nmae. Did you mean name?") {
			t.Errorf("%s: said %v", name, got)
		}
		cat.Promised = []migrations.Promise{{SQL: "alter table users add column nmae text"}}
		p, _ = migrations.Lower(c, cat)
		if got := p.Conflicts(migrations.Recorded{}); len(got) > 0 {
			t.Errorf("%s of what SQL makes: said %v", name, got)
		}
	}
}

// What has run is not asked about: types and columns that it used may be gone.
func TestNothingIsAskedOfWhatHasRun(t *testing.T) {
	for name, c := range map[string]*spec.Change{
		"column": expand(add(spec.Column{Name: "name", Type: "gone", Default: "gone()"})),
		"table":  expand(&spec.CreateTable{Table: users, Columns: []spec.Column{{Name: "id", Type: "gone"}}}),
	} {
		p, _ := migrations.Lower(c, live())
		if got := p.Readings(migrations.Recorded{}); len(got) > 0 {
			t.Errorf("%s: asked %v", name, got)
		}
	}
}

// An expression is read over no more than the columns that it names, because the
// types of others may not be there yet.
func TestAnExpressionIsReadOverTheColumnsThatItNames(t *testing.T) {
	cat := live()
	cat.Promised = []migrations.Promise{{Name: "mood"}}
	cat.Tables["users"].Columns = append(cat.Tables["users"].Columns, migrations.Column{Name: "mood", Type: "mood"})
	for expression, want := range map[string]string{
		"lower(users.name)":           `SELECT FROM (SELECT CAST(NULL AS text) AS "name") AS "users" WHERE CAST((lower(users.name)) AS text) IS NULL AND EXISTS (SELECT FROM XMLTABLE('' PASSING CAST(NULL AS xml) COLUMNS c text DEFAULT (lower(users.name))) AS t)`,
		"'name'":                      `SELECT FROM (SELECT ) AS "users" WHERE CAST(('name') AS text) IS NULL AND EXISTS (SELECT FROM XMLTABLE('' PASSING CAST(NULL AS xml) COLUMNS c text DEFAULT ('name')) AS t)`,
		"users::text":                 "", // the row
		"(users.*)::text":             "",
		"mood::text":                  "", // of a type that is not there
		`"mood"::text || lower(name)`: "",
	} {
		p, _ := migrations.Lower(expand(add(spec.Column{Name: "g", Type: "text", Generated: expression, Virtual: true})), cat)
		var got []string
		for _, r := range p.Readings(migrations.Recorded{}) {
			if strings.HasPrefix(r.SQL, "SELECT FROM") {
				got = append(got, r.SQL)
			}
		}
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Errorf("%s is read as %q, want %q", expression, got, want)
		}
	}
}
