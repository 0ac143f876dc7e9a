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
	typed := expand(add(spec.Column{Name: "bio", Type: "txet"}))
	tests := []struct {
		name     string
		change   *spec.Change
		promised []string
		text     string
		refusal  migrations.Refusal
		want     string // "" = no complaint
	}{
		{"type", typed, nil, "txet", noType, `Unknown type: Postgres says of the type of column bio of table users: type "txet" does not exist. Did you mean text?`},
		{"type of a new table", expand(&spec.CreateTable{Table: spec.ParseTable("t"), Columns: []spec.Column{{Name: "bio", Type: "txet"}}}), nil, "txet", noType, "Unknown type"},
		{"type that SQL makes", typed, []string{"create type txet as enum ('a')"}, "txet", noType, ""},
		{"type that an extension may make", typed, []string{"create extension txet_types"}, "txet", noType, ""},
		{"type of another schema that SQL makes", typed, []string{"create type txet as enum ('a')"}, "txet", migrations.Refusal{Code: "42704", Name: `shop."txet"`}, ""},
		{"type that SQL makes under a longer name", typed, []string{"create type txet_2 as enum ('a')"}, "txet", noType, "Unknown type"},
		{"type that is locked", typed, nil, "txet", migrations.Refusal{Code: "55P03", Message: "canceling statement due to lock timeout"}, ""},
		{"default that is a word", expand(add(spec.Column{Name: "bio", Type: "text", Default: "none"})), nil, "(none)",
			migrations.Refusal{Code: "42703", Message: `column "none" does not exist`, Name: "none"},
			`Invalid default: The default of column bio of table users is "none", and a default names no column. A text has quotes in SQL: "'none'"`},
		{"default that is a value to come", expand(add(spec.Column{Name: "bio", Type: "mood", Default: "'ok'"})), []string{"'ok'"}, "'ok'",
			migrations.Refusal{Code: "22P02", Message: `invalid input value for enum mood: "ok"`, Name: "'ok'"}, ""},
		{"generated", expand(add(spec.Column{Name: "bio", Type: "text", Generated: "lower(nmae)", Virtual: true})), nil, "nmae",
			migrations.Refusal{Code: "42703", Message: `column "nmae" does not exist`, Name: "nmae"},
			"Unknown column: The expression of column bio of table users is \"lower(nmae)\". Table users has no column nmae. Did you mean name? It has id, name."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cat := live()
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
	cat.Promised = []string{`"mood"`}
	cat.Tables["users"].Columns = append(cat.Tables["users"].Columns, migrations.Column{Name: "mood", Type: "mood"})
	for expression, want := range map[string]string{
		"lower(users.name)":           `SELECT FROM (SELECT CAST(NULL AS text) AS "name") AS "users" WHERE CAST((lower(users.name)) AS text) IS NULL`,
		"'name'":                      `SELECT FROM (SELECT ) AS "users" WHERE CAST(('name') AS text) IS NULL`,
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
