package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// Nothing of it is executed, and what one reading means does not hang on another.
func TestReadSaysWhatHasNoMeaning(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, `
		create schema shop; create type shop.size as enum ('small');
		create table touched (n int); create index touched_n on touched (n); create table shop.touches ()`)
	read := func(url string, readings ...migrations.Reading) (map[migrations.Reading]migrations.Refusal, map[migrations.Reading]string) {
		t.Helper()
		p := postgres.New(&spec.Database{Name: "main", URL: spec.Secret("test", url)}, nil)
		got, wordings, err := p.Read(t.Context(), readings)
		if err != nil {
			t.Fatal(err)
		}
		return got, wordings
	}
	sizeElsewhere := migrations.Reading{Schema: "public", SQL: "SELECT CAST(NULL AS size)"}
	misspelt := migrations.Reading{Schema: "shop", SQL: "SELECT 'é', CAST(NULL AS sise)"}
	call := migrations.Reading{Schema: "shop", SQL: `SELECT "lowr"('X')`}
	constant := migrations.Reading{SQL: "SELECT CAST('big' AS shop.size)"}
	column := migrations.Reading{SQL: "SELECT FROM (SELECT) AS t WHERE t.n IS NULL"}
	table := migrations.Reading{Schema: "public", SQL: `SELECT FROM "public"."touchd"`}
	there := migrations.Reading{Schema: "shop", SQL: `SELECT FROM "shop"."touched"`}
	index := migrations.Reading{Schema: "public", SQL: `SELECT FROM "public"."touched_m"`, Index: true}
	between := migrations.Reading{Schema: "shop", SQL: "SELECT n between 1 and 2, ('small'::size) FROM (SELECT * FROM (SELECT CAST(NULL AS int) AS n) AS t OFFSET 0) AS t", Write: true}
	nothing := migrations.Reading{SQL: "SELECT m FROM (SELECT) AS t", Write: true}
	got, wordings := read(url,
		sizeElsewhere, misspelt, call, constant, column, table, there, index, between, nothing,
		migrations.Reading{Schema: "shop", SQL: "SELECT CAST(NULL AS size)"},
		migrations.Reading{Schema: "shop", SQL: "insert into touched values (1)"},
		migrations.Reading{Schema: "public", SQL: "select 1 / 0"},
	)
	want := map[migrations.Reading]migrations.Refusal{
		sizeElsewhere: {Code: "42704", Message: `type "size" does not exist`, Name: "size"},
		misspelt:      {Code: "42704", Message: `type "sise" does not exist`, Name: "sise", Nearest: "size"},
		call: {Code: "42883", Message: `function lowr(unknown) does not exist`, Name: `"lowr"`, Nearest: "lower",
			Hint: "No function matches the given name and argument types. You might need to add explicit type casts."},
		constant: {Code: "22P02", Message: `invalid input value for enum shop.size: "big"`, Name: "'big'"},
		column:   {Code: "42703", Message: "column t.n does not exist", Name: "t.n"},
		table:    {Code: "42P01", Message: `relation "public.touchd" does not exist`, Name: `"public"."touchd"`, Nearest: "touched"},
		there:    {Code: "42P01", Message: `relation "shop.touched" does not exist`, Name: `"shop"."touched"`, Nearest: "touches"},
		index:    {Code: "42P01", Message: `relation "public.touched_m" does not exist`, Name: `"public"."touched_m"`, Nearest: "touched_n"},
		nothing:  {Code: "42703", Message: `column "m" does not exist`, Name: "m"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := wordings[between]; len(wordings) != 1 || got != "((n >= 1) AND (n <= 2)), 'small'::shop.size" && got != "((t.n >= 1) AND (t.n <= 2)), 'small'::size" {
		t.Errorf("written %v", wordings)
	}
	if n := pgtest.Value[int](t, pgtest.Connect(t, url), "select count(*) from touched"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

// A role that may not look into a schema finds none of its types, which says
// nothing of whether they are there.
func TestReadAsksNothingWhereItMayNotLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "create schema closed; create type closed.secret as enum ('x')")
	limited(w)
	unseen := migrations.Reading{Schema: "closed", SQL: "SELECT CAST(NULL AS secret)"}
	seen := migrations.Reading{Schema: "public", SQL: "SELECT CAST(NULL AS nothing)"}
	got, _, err := w.provider.Read(t.Context(), []migrations.Reading{unseen, seen})
	if _, asked := got[seen]; err != nil || len(got) != 1 || !asked {
		t.Errorf("refused %v, %v", got, err)
	}
}
