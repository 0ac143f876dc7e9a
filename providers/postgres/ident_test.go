package postgres_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// name is anything that the spec lets through: 1 to 63 bytes of UTF-8 without
// NUL.
func name() *rapid.Generator[string] {
	letters := rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune(`"'\$ .;-*/AZselect%`)))
	return rapid.StringOfN(letters, 1, 63, 63).Filter(func(s string) bool {
		return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
	})
}

func TestNamesComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	c := pgtest.Connect(t, pgtest.New(t).Database(t))
	rapid.Check(t, func(t *rapid.T) {
		want := name().Draw(t, "name")
		quoted := migrations.Ident(want)
		if _, err := c.Exec(t.Context(), "create temp table "+quoted+" ("+quoted+" int)"); err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		var table, column string
		err := c.QueryRow(t.Context(), `
			select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
			where c.relnamespace = pg_my_temp_schema()`).Scan(&table, &column)
		if err != nil || table != want || column != want {
			t.Fatalf("%q came back as table %q, column %q (%v)", want, table, column, err)
		}
		if _, err := c.Exec(t.Context(), "drop table pg_temp."+quoted); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTextsComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	c := pgtest.Connect(t, pgtest.New(t).Database(t))
	text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune(`'\"$`)))).Filter(func(s string) bool {
		return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
	})
	rapid.Check(t, func(t *rapid.T) {
		want := text.Draw(t, "text")
		for _, conforming := range []string{"on", "off"} {
			if _, err := c.Exec(t.Context(), "set standard_conforming_strings = "+conforming); err != nil {
				t.Fatal(err)
			}
			results, err := c.PgConn().Exec(t.Context(), "select "+migrations.Literal(want)).ReadAll()
			if err != nil || string(results[0].Rows[0][0]) != want {
				t.Fatalf("%q did not come back with standard_conforming_strings %s: %v", want, conforming, err)
			}
		}
	})
}

// The whole way of a change, with names that break what is put together by
// hand.
func TestAnyNameGoesTheWholeWay(t *testing.T) {
	tests := []struct{ table, from, to, change string }{
		{`a"b`, `it's`, "SELECT", "one"},
		{"new", "old", "image", "two"},
		{"$pleat$", "tg_op", `c1\`, "three"},
		{strings.Repeat("t", 63), strings.Repeat("é", 31), strings.Repeat("n", 63), strings.Repeat("c", 63)},
	}
	for _, test := range tests {
		t.Run(test.change, func(t *testing.T) {
			t.Parallel()
			table := spec.Table{Schema: "public", Name: test.table}
			id, from, to := migrations.Ident("id"), migrations.Ident(test.from), migrations.Ident(test.to)
			w := newWorld(t, "create table "+migrations.Ident(test.table)+" ("+id+" int primary key, "+from+" text);"+
				"insert into "+migrations.Ident(test.table)+" values (1, 'a'), (2, 'b')")
			c := &spec.Change{
				Name: test.change,
				Expand: []spec.Operation{
					&spec.AddColumn{Table: table, Column: spec.Column{Name: test.to, Type: "text"}},
					&spec.Sync{Table: table, Forward: map[string]string{test.to: from}, Backward: map[string]string{test.from: to}},
				},
				Backfills: []*spec.Backfill{{Table: table}},
				Contract:  &spec.Contract{Operations: []spec.Operation{&spec.DropColumn{Table: table, Column: test.from}}},
			}
			p := w.lower(c)
			w.do(p, p.Expand, migrations.Expanded)
			w.apply(backfillOf(p))
			w.exec("insert into " + migrations.Ident(test.table) + " (" + id + ", " + to + ") values (3, 'c')")
			if got := w.value("select string_agg(" + from + " || " + to + ", ',' order by id) from " + migrations.Ident(test.table)); got != "aa,bb,cc" {
				t.Errorf("got %s", got)
			}
			w.do(w.lower(c), w.lower(c).Hide, migrations.Hidden)
			w.do(w.lower(c), w.lower(c).Drop, migrations.Contracted)
			if got := w.phase(c); got != migrations.Contracted {
				t.Errorf("phase is %s", got)
			}
			if left := w.leftovers(); left != "" {
				t.Errorf("left over: %s", left)
			}
		})
	}
}
