package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/migrations/hazard"
)

func TestPieces(t *testing.T) {
	tests := []struct{ name, sql, want string }{
		{"nothing", "-- only a comment\n;;", ""},
		{"one transaction", "create table a (); create table b ();\n-- done", "[1 2] create table a (); create table b ()"},
		{"in its own", "begin;\ncreate table a ();\ncommit;", "[1] create table a ()"},
		{"in its own, in other words", "START TRANSACTION; create table a (); select 1; END WORK", "[1 2] create table a (); select 1"},
		{"alone", "create index concurrently i on t (a);", "[1]! create index concurrently i on t (a)"},
		{"alone among others", "create table a (); create index concurrently i on a (b); select 1",
			"[1] create table a ()\n[2]! create index concurrently i on a (b)\n[3] select 1"},
		{"blocks", "begin; select 1; select 2; commit; vacuum t; begin; select 3; commit",
			"[1 2] select 1; select 2\n[3]! vacuum t\n[4] select 3"},
		{"two blocks", "begin; select 1; commit; begin; select 2; select 3; commit;", "[1] select 1\n[2 3] select 2; select 3"},
		{"beside a block", "select 1; begin; select 2; select 3; commit", "[1] select 1\n[2 3] select 2; select 3"},
		{"after a block", "begin; select 1; commit; select 2", "[1] select 1\n[2] select 2"},
		{"savepoints", "begin; savepoint a; select 1; rollback to a; commit", "[1 2 3] savepoint a; select 1; rollback to a"},
		{"limits", "set lock_timeout = '10s'; select 1; set local statement_timeout to 0; select 2", "[1 2] select 1; " + strings.Repeat(" ", 32) + "; select 2"},
		{"a value that is used", "alter type e add value 'x'; update t set e = 'x'", "[1] alter type e add value 'x'\n[2] update t set e = 'x'"},
		{"a value that is not", "alter type e add value 'x'; create table a ()", "[1 2] alter type e add value 'x'; create table a ()"},
		{"concurrently in brackets", "reindex (verbose, concurrently) table t", "[1]! reindex (verbose, concurrently) table t"},
		{"refresh", "refresh materialized view concurrently v; select 1", "[1 2] refresh materialized view concurrently v; select 1"},
		{"function", "create function f() returns int begin atomic select 1; select 2; end; select f()",
			"[1 2] create function f() returns int begin atomic select 1; select 2; end; select f()"},
		{"rollback", "begin; select 1; rollback", `! "rollback" would end the transaction that also records the version`},
		{"isolation", "begin isolation level serializable; select 1; commit", `! "begin isolation level serializable" would end`},
		{"no commit", "begin; select 1", "! its BEGIN has no COMMIT"},
		{"no begin", "select 1; commit", `! "commit" ends a transaction that the file did not begin`},
		{"nested", "begin; begin; commit; commit", `! "begin" comes within another`},
		{"alone in a block", "begin; create index concurrently i on t (a); commit", "! CONCURRENTLY cannot be between BEGIN and COMMIT"},
		{"torn", "select 'x", "! its statements cannot be told apart"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pieces, err := migrations.Pieces(test.sql)
			if err != nil {
				if want, ok := strings.CutPrefix(test.want, "! "); !ok || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%v, want %s", err, test.want)
				}
				return
			}
			if got := shown(pieces); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			for _, p := range pieces {
				if first := p.Statements[0]; first.Start != p.Start || !strings.HasPrefix(test.sql[p.Start:], first.Text) {
					t.Errorf("piece %d does not begin at %d", first.Number, p.Start)
				}
			}
		})
	}
}

func shown(pieces []migrations.Piece) string {
	var lines []string
	for _, p := range pieces {
		var numbers []int
		for _, s := range p.Statements {
			numbers = append(numbers, s.Number)
		}
		alone := ""
		if p.Alone {
			alone = "!"
		}
		lines = append(lines, fmt.Sprintf("%v%s %s", numbers, alone, p.Text))
	}
	return strings.Join(lines, "\n")
}

func TestRestOfAFile(t *testing.T) {
	const file = "select 1; -- one\nvacuum a; begin; select 2; select 3; commit;"
	tests := []struct {
		name, now string
		through   int
		want      string
	}{
		{"as it was", file, 1, "[2]! vacuum a\n[3 4] select 2; select 3"},
		{"nothing ran", file, 0, "[1] select 1\n[2]! vacuum a\n[3 4] select 2; select 3"},
		{"everything ran", file, 4, ""},
		{"the rest is another", "select 1;\n\nvacuum b", 1, "[2]! vacuum b"},
		{"what ran is another", "select 9; vacuum a; select 2", 1, "! its first 1 statements are not those that ran"},
		{"what ran is gone", "vacuum a", 2, "! its first 2 statements are not those that ran"},
		{"what ran is part of a transaction", "begin; select 1; select 8; commit; vacuum a", 1, "! its statement 2 is in a transaction with one that ran"},
	}
	before, err := migrations.Pieces(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pieces, err := migrations.Pieces(test.now)
			if err != nil {
				t.Fatal(err)
			}
			rest, err := migrations.Rest(pieces, test.through, migrations.Through(before, test.through))
			got := shown(rest)
			if err != nil {
				got = "! " + err.Error()
			}
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestWhatAPieceLocksAndMakes(t *testing.T) {
	lock := func(table string, l migrations.Lock) []migrations.NamedLock {
		return []migrations.NamedLock{{Table: table, Lock: l}}
	}
	tests := []struct {
		sql    string
		locks  []migrations.NamedLock
		effect hazard.Effect
	}{
		{`create table if not exists app."Odd" (id int)`, nil, hazard.Effect{Kind: hazard.MakesTable, Name: `app."Odd"`}},
		{"create unlogged table t (id int references users (id))", lock(`"users"`, migrations.ShareRowExclusive), hazard.Effect{Kind: hazard.MakesTable, Name: "t"}},
		{"create unique index concurrently if not exists I on only app.t (a)", lock(`"app"."t"`, migrations.ShareUpdateExclusive), hazard.Effect{Kind: hazard.MakesIndex, Table: "app.t", Name: "i"}},
		{"create index on t (a)", lock(`"t"`, migrations.Share), hazard.Effect{Kind: hazard.MakesIndex, Table: "t"}},
		{"drop table if exists a, b.c cascade", append(lock(`"a"`, migrations.AccessExclusive), lock(`"b"."c"`, migrations.AccessExclusive)...), hazard.Effect{Kind: hazard.TakesTable, Name: "a"}},
		{"alter table only t add column if not exists x int", lock(`"t"`, migrations.AccessExclusive), hazard.Effect{Kind: hazard.MakesColumn, Table: "t", Name: "x"}},
		{"alter table t add constraint c check (a > 0) not valid", lock(`"t"`, migrations.AccessExclusive), hazard.Effect{Kind: hazard.MakesConstraint, Table: "t", Name: "c"}},
		{"alter table t validate constraint c", lock(`"t"`, migrations.ShareUpdateExclusive), hazard.Effect{Table: "t"}},
		{"update t set a = 1 where b; alter table t add c int", lock(`"t"`, migrations.AccessExclusive), hazard.Effect{}},
		{"select 1", nil, hazard.Effect{}},
		{`create temp table "a.b" as select 1`, nil, hazard.Effect{Kind: hazard.MakesTable, Name: `"a.b"`}},
		{"create /* table x */ type app.Mood as enum ('a')", nil, hazard.Effect{Kind: hazard.MakesType, Name: "app.mood"}},
		{`alter table t add "check" int`, lock(`"t"`, migrations.AccessExclusive), hazard.Effect{Kind: hazard.MakesColumn, Table: "t", Name: "check"}},
		{"alter table t add check (a > 0) not valid", lock(`"t"`, migrations.AccessExclusive), hazard.Effect{Table: "t"}},
		{`alter table t drop column "a""b"`, lock(`"t"`, migrations.AccessExclusive), hazard.Effect{Kind: hazard.TakesColumn, Table: "t", Name: `"a""b"`}},
	}
	for _, test := range tests {
		pieces, err := migrations.Pieces(test.sql)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.locks, pieces[0].Locks()); diff != "" {
			t.Errorf("%s: locks %s", test.sql, diff)
		}
		if diff := cmp.Diff(test.effect, pieces[0].Statements[0].Effect); diff != "" {
			t.Errorf("%s: effect %s", test.sql, diff)
		}
	}
}

func TestWhatAStatementThatAllowsNoTransactionIsAbout(t *testing.T) {
	tests := []struct {
		sql  string
		want hazard.Effect
	}{
		{"drop index concurrently if exists app.i", hazard.Effect{Kind: hazard.TakesIndex, Name: "app.i"}},
		{"alter table p detach partition c concurrently", hazard.Effect{Kind: hazard.DetachesPartition, Table: "p", Name: "c"}},
		{"reindex (verbose) table concurrently t", hazard.Effect{Kind: hazard.RemakesIndexes, Name: "t"}},
		{"reindex index concurrently app.i", hazard.Effect{Kind: hazard.RemakesIndex, Name: "app.i"}},
	}
	for _, test := range tests {
		pieces, err := migrations.Pieces(test.sql)
		if err != nil || !pieces[0].Alone {
			t.Fatalf("%s: %v, %v", test.sql, pieces, err)
		}
		if diff := cmp.Diff(test.want, pieces[0].Statements[0].Effect); diff != "" {
			t.Errorf("%s: effect %s", test.sql, diff)
		}
	}
}
