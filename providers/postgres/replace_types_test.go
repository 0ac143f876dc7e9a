package postgres_test

import (
	"fmt"
	"testing"

	"pleat/migrations"
	"pleat/spec"
)

// Once the former column is gone only the type of the one that is there tells that
// a change of type is done: however the author wrote it, and whatever the server
// calls it.
func TestAReplacedColumnIsKnownByItsType(t *testing.T) {
	types := []string{
		"numeric(10,2)", "numeric( 10, 2 )", "numeric(10)", "decimal(10)", "dec(8, 3)", "numeric", "NUMERIC (10,2)",
		"varchar(20)", "varchar (20)", "character varying(20)", "char varying(20)", "varchar", "varchar(20)[]", "varchar(20) array", "text[3]", "text array[3]", "int[][]",
		"char", "char(1)", "character(3)", "bpchar", "bpchar(3)", "nchar(3)", "national character varying(5)",
		"timestamptz", "timestamptz(3)", "timestamp(3)", "timestamp (3) with time zone", "timestamp with time zone", "timestamp(0) without time zone", "timestamptz(3)[]",
		"time(3)", "timetz(3)", "time (3) with time zone", "time",
		"interval(3)", "interval day to second(3)", "interval day to second (3)", "interval year to month",
		"bit", "bit(1)", "bit(5)", "varbit(5)", "bit varying(5)",
		"float", "float(24)", "float(25)", "float4", "int8", "pg_catalog.int4", "Bool",
		`"char"`, `public."Mood"`, `"Mood"`, `"Mood"[]`, "positive", "public.positive",
	}
	others := map[string]string{
		"varchar(30)": "varchar(20)", "varchar(20)": "varchar", "timestamptz(3)": "timestamptz", "timestamp(3)": "timestamptz(3)", "numeric(10)": "numeric(10,2)",
		"text[]": "text", "float(24)": "float(25)", "bpchar": "char",
	}
	setup := `create type "Mood" as enum ('fine'); create domain positive as int;`
	for i, kind := range types {
		setup += fmt.Sprintf("create table t%d (id int primary key, c %s);", i, kind)
	}
	for to, from := range others {
		setup += fmt.Sprintf("create table %q (id int primary key, c %s);", to, from)
	}
	w := newWorld(t, setup)
	known := func(table, kind string) (is string, done bool) {
		c := changeType(table, "c", kind, "c", "pleat_new_c")
		phase, _ := w.lower(c).Phase(migrations.Recorded{})
		return w.observe(c).Catalog.Table(spec.ParseTable(table)).Column("c").Type, phase == migrations.Contracted
	}
	for to := range others {
		if is, done := known(to, to); done {
			t.Errorf("a column of %s passes for one of %s", is, to)
		}
	}
	for i, kind := range types {
		if is, done := known(fmt.Sprintf("t%d", i), kind); !done {
			t.Errorf("%s is not known by a column of it, which is of %s", kind, is)
		}
	}
}
