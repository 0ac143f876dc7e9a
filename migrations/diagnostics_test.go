package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/spec"
)

func expand(ops ...spec.Operation) *spec.Change { return &spec.Change{Name: "c", Expand: ops} }

func contract(ops ...spec.Operation) *spec.Change {
	return &spec.Change{Name: "c", Contract: &spec.Contract{Operations: ops}}
}

func add(c spec.Column) *spec.AddColumn { return &spec.AddColumn{Table: users, Column: c} }

func sync(forward, backward string) *spec.Sync {
	return &spec.Sync{Table: users, Forward: map[string]string{"first": forward}, Backward: map[string]string{"name": backward}}
}

func dropped(constraint, definition string) *spec.DropConstraint {
	return &spec.DropConstraint{Table: spec.ParseTable("seen"), Name: constraint, Definition: definition}
}

func replaced(index, table string) *spec.Change {
	r := &spec.ReplaceIndex{Index: &spec.CreateIndex{Name: index, Table: spec.ParseTable(table), Columns: []string{"b"}}}
	return &spec.Change{Name: "c", Expand: []spec.Operation{r}, Contract: &spec.Contract{Operations: []spec.Operation{r}}}
}

// swapped is a change in which one column takes over the name of another.
func swapped(table, column, by string) *spec.Change {
	t := spec.ParseTable(table)
	return &spec.Change{Name: "c",
		Expand: []spec.Operation{
			&spec.AddColumn{Table: t, Column: spec.Column{Name: by, Type: "bigint"}},
			&spec.Sync{Table: t, Forward: map[string]string{by: column}, Backward: map[string]string{column: by}},
		},
		Contract: &spec.Contract{Operations: []spec.Operation{&spec.ReplaceColumn{Table: t, Column: column, By: by, Type: "bigint"}}},
	}
}

func served(column, to string) *spec.ServeView {
	return &spec.ServeView{Table: users, Columns: map[string]string{column: to}, Schema: "pleat_c"}
}

func verified(sql string) *spec.Change {
	return &spec.Change{Name: "c", Verifies: []*spec.Verify{{Name: "v", SQL: sql}}}
}

func filled(table, column, expression string, ops ...spec.Operation) *spec.Change {
	return &spec.Change{Name: "c", Expand: ops, Backfills: []*spec.Backfill{{Table: spec.ParseTable(table), Set: map[string]string{column: expression}}}}
}

// ended is a change with a view of users, and with SQL beside what ends it.
func ended(o *spec.SQL) *spec.Change {
	v := served("name", "full_name")
	c := expand(v)
	c.Contract = &spec.Contract{Operations: []spec.Operation{&spec.EndView{View: v}, o}}
	return c
}

var first = add(spec.Column{Name: "first", Type: "text"})

var (
	events = spec.ParseTable("events")
	year   = spec.Partition{Table: spec.ParseTable("y"), From: []string{"'2025-01-01'"}, To: []string{"MAXVALUE"}}
)

var mood = spec.ParseTable("mood")

func TestWhatCannotBeLoweredIsSaidWithTheReason(t *testing.T) {
	tests := []struct {
		name   string
		change *spec.Change
		want   string // a part of "Summary: Detail", "" = no complaint
	}{
		{"not null", expand(add(spec.Column{Name: "age", Type: "int", NotNull: true})),
			`NOT NULL column without a default: Rows that are there would make Postgres say: column "age" of relation "users" contains null values.`},
		{"not null, for old writers", expand(add(spec.Column{Name: "age", Type: "int", NotNull: true})),
			`null value in column "age" of relation "users" violates not-null constraint`},
		{"not null with a default", expand(add(spec.Column{Name: "age", Type: "int", NotNull: true, Default: "0"})), ""},
		{"not null in a new table", expand(
			&spec.CreateTable{Table: spec.ParseTable("t"), Columns: []spec.Column{{Name: "id", Type: "int"}}},
			&spec.AddColumn{Table: spec.ParseTable("t"), Column: spec.Column{Name: "age", Type: "int", NotNull: true}}), ""},
		{"volatile default", expand(add(spec.Column{Name: "token", Type: "uuid", Default: "gen_random_uuid()"})), ""},
		{"identity", expand(add(spec.Column{Name: "n", Type: "bigint", Identity: true})), ""},
		{"identity of text", expand(add(spec.Column{Name: "n", Type: "text", Identity: true})), "Identity column of another type"},
		{"stored column", expand(add(spec.Column{Name: "n", Type: "text", Generated: "lower(name)"})), "With stored = false it is computed when it is read"},
		{"virtual column", expand(add(spec.Column{Name: "n", Type: "text", Generated: "lower(name)", Virtual: true})), ""},
		{"not null that a sync fills", expand(add(spec.Column{Name: "first", Type: "text", NotNull: true}), sync("name", "first")), ""},
		{"not null of no column", expand(&spec.SetNotNull{Table: users, Column: "nam"}), "Unknown column: Table users has no column nam"},
		{"null of the key", expand(&spec.DropNotNull{Table: users, Column: "id"}), "Column cannot be null"},
		{"default that closes", expand(&spec.SetDefault{Table: users, Column: "name", Default: "1) , (2"}), `")" closes nothing`},
		{"comment on no column", expand(&spec.CommentOn{Table: users, Column: "nam", Comment: "x"}), "Unknown column"},
		{"null in contract", contract(&spec.DropNotNull{Table: users, Column: "name"}), "Operation belongs in expand"},
		{"steady default", expand(add(spec.Column{Name: "at", Type: "timestamptz", Default: "date_trunc('day', now()) + interval '1 day'"})), ""},
		{"default in a string", expand(add(spec.Column{Name: "at", Type: "text", Default: "'random()'::varchar(20)"})), ""},
		{"serial", expand(add(spec.Column{Name: "n", Type: "bigserial"})), "Column needs a rewrite of the table"},
		{"generated", expand(add(spec.Column{Name: "n", Type: "text GENERATED ALWAYS AS (name) STORED"})), "Generated column needs a rewrite"},
		{"type that is more than a type", expand(add(spec.Column{Name: "n", Type: "text; drop table users"})), `Invalid type: The type of column n cannot be used: ";" is not part of an expression`},
		{"default that closes what it did not open", expand(add(spec.Column{Name: "n", Type: "text", Default: "'a') , add column x int default ('b'"})), `")" closes nothing`},
		{"table that is not there", expand(&spec.AddColumn{Table: spec.ParseTable("nobody"), Column: spec.Column{Name: "n", Type: "text"}}), "Unknown table: Table nobody does not exist"},
		{"enum that is there with other values", expand(&spec.CreateEnum{Enum: mood, Values: []string{"high", "low"}}),
			"Enum with other values: There is an enum mood already, of low, high; this change would make it of high, low."},
		{"enum that got more values since", expand(&spec.CreateEnum{Enum: mood, Values: []string{"high"}}), ""},
		{"value of no enum", expand(&spec.AddEnumValue{Enum: spec.ParseTable("moot"), Value: "ok"}), "Unknown enum: Enum moot does not exist"},
		{"value beside no value", expand(&spec.AddEnumValue{Enum: mood, Value: "ok", Before: "hi"}), "Unknown enum value: Enum mood has no value hi. It has low, high."},
		{"value beside one of the same change", expand(&spec.AddEnumValue{Enum: mood, Value: "ok"}, &spec.AddEnumValue{Enum: mood, Value: "best", After: "ok"}), ""},
		{"value of an enum of the same change", expand(&spec.AddEnumValue{Enum: spec.ParseTable("e"), Value: "b"}, &spec.CreateEnum{Enum: spec.ParseTable("e"), Values: []string{"a"}}), ""},
		{"value renamed in expand", expand(&spec.RenameEnumValue{Enum: mood, Value: "low", To: "bad"}), "Operation belongs in contract"},
		{"value renamed that is none", contract(&spec.RenameEnumValue{Enum: mood, Value: "lo", To: "bad"}), "Unknown enum value: Enum mood has no value lo."},
		{"value renamed to another", contract(&spec.RenameEnumValue{Enum: mood, Value: "low", To: "high"}), "Value is there already"},
		{"enum dropped that something uses", contract(&spec.DropEnum{Enum: mood}),
			"Postgres would refuse to drop enum mood, which is used by: column mood of table users; function f(mood)."},
		{"enum dropped with its column", contract(&spec.DropEnum{Enum: mood}, &spec.DropColumn{Table: users, Column: "mood"}), "which is used by: function f(mood)."},
		{"enum dropped after an author's SQL", contract(&spec.SQL{Label: "1", Up: "drop function f; alter table users drop mood"}, &spec.DropEnum{Enum: mood}), ""},
		{"partition of a table without any", expand(&spec.CreatePartition{Table: users, Partition: year}), "Table is not partitioned"},
		{"bound of another kind", expand(&spec.CreatePartition{Table: events, Partition: spec.Partition{Table: spec.ParseTable("p"), In: []string{"1"}}}), "Bound of another kind"},
		{"bound that is more than a bound", expand(&spec.CreatePartition{Table: events, Partition: spec.Partition{Table: spec.ParseTable("p"), From: []string{"1) (2"}, To: []string{"3"}}}), "Invalid bound"},
		{"partition of a taken name", expand(&spec.CreatePartition{Table: events, Partition: spec.Partition{Table: users, From: []string{"1"}, To: []string{"3"}}}), "Name is taken"},
		{"partition that would have the default one read", expand(&spec.CreatePartition{Table: events, Partition: spec.Partition{Table: spec.ParseTable("p"), From: []string{"now()"}, To: []string{"'2030-01-01'"}}}), "Default partition would be read"},
		{"partition that would be read", expand(&spec.AttachPartition{Table: events, Partition: spec.Partition{Table: spec.ParseTable("y"), From: []string{"date '2025-01-01'"}, To: []string{"'2030-01-01'"}}}), "Rows would be read under a lock"},
		{"partition that lacks what its table has", expand(&spec.AttachPartition{Table: events, Partition: year}),
			"Before y can be attached to events it needs: a column at of type date; no column b; a constraint named CHECK (id > 0); an index like events_at."},
		{"partition of another table attached", expand(&spec.AttachPartition{Table: events, Partition: spec.Partition{Table: spec.ParseTable("z"), From: year.From, To: year.To}}), "Partition of another table: Table z is a partition of others."},
		{"partition detached beside a default one", contract(&spec.DetachPartition{Table: events, Partition: year}), ""},
		{"partition of texts by hash", expand(&spec.AttachPartition{Table: spec.ParseTable("hashed"), Partition: spec.Partition{Table: spec.ParseTable("y"), Modulus: 2}}), "with a collation Postgres does not take a check of the hash for the bound. Make an empty partition of that bound by create_partition"},
		{"partition detached in expand", expand(&spec.DetachPartition{Table: events, Partition: year}), "Operation belongs in contract"},
		{"drop in expand", expand(&spec.DropColumn{Table: users, Column: "name"}), "Operation belongs in contract"},

		{"sync without a column", expand(sync("name", "first")), "Unknown column: Table users has no column first. It has id, name."},
		{"sync with a default", expand(add(spec.Column{Name: "first", Type: "text", Default: "''"}), sync("name", "first")), "Synced column has a default"},
		{"sync with an open bracket", expand(first, sync("lower(name", "first")), `Invalid expression: The expression for first cannot be used: "(" is not closed`},
		{"sync with an open string", expand(first, sync("name || 'x", "first")), "does not end"},
		{"sync one way", expand(first, &spec.Sync{Table: users, Forward: map[string]string{"first": "name"}}), "Sync needs both directions"},
		{"sync onto itself", expand(first, &spec.Sync{Table: users, Forward: map[string]string{"name": "name"}, Backward: map[string]string{"name": "name"}}), "Column in both directions"},

		{"vacuum", expand(&spec.SQL{Label: "1", Up: "select 1; VACUUM users"}), `Statement that allows no transaction: "VACUUM users" cannot share a transaction`},
		{"concurrently", expand(&spec.SQL{Label: "1", Up: "create /* x */ database d"}), `Statement whose outcome could be unknown: "create /* x */ database d" allows no transaction`},
		{"enum value", expand(&spec.SQL{Label: "1", Up: "alter type t add value if not exists 'x'"}), ""},
		{"commit", expand(&spec.SQL{Label: "1", Up: "select 1; commit; select 2"}), "Transaction control in sql"},
		{"words in strings", expand(&spec.SQL{Label: "1", Up: "comment on table users is 'vacuum; commit; concurrently'"}), ""},
		{"body of a function", expand(&spec.SQL{Label: "1", Up: "create function f() returns int language sql begin atomic select case when true then 1 end; select 2; end; select 1"}), ""},

		{"backfill of nothing", &spec.Change{Name: "c", Backfills: []*spec.Backfill{{Table: users}}}, "Nothing to fill"},
		{"verify of two", &spec.Change{Name: "c", Verifies: []*spec.Verify{{Name: "v", SQL: "select 1; delete from users"}}}, "Invalid verify: The sql of verify v cannot be asked: it has 2 statements, not one."},

		{"drop of the key", contract(&spec.DropColumn{Table: users, Column: "id"}), "Column is in the primary key"},
		{"drop under a view", contract(&spec.DropColumn{Table: spec.ParseTable("seen"), Column: "a"}), "Something else needs it: The view public.v depends on it"},
		{"drop after SQL that may take care", contract(&spec.SQL{Label: "1", Up: "drop view v"}, &spec.DropColumn{Table: spec.ParseTable("seen"), Column: "a"}), ""},
		{"drop of another column than the view's", contract(&spec.DropColumn{Table: spec.ParseTable("seen"), Column: "b"}), ""},
		{"drop of no way back", expand(dropped("positive", "")), `Missing definition: Once positive is gone, no catalog tells what to bring back if this change is taken back. Say it here:
  definition = "CHECK ((a > 0))"`},
		{"drop of another check", expand(dropped("positive", "CHECK (a > 1)")), "Constraint with another definition: The constraint positive on seen is\n  CHECK ((a > 0))"},
		{"drop of a check", expand(dropped("positive", "CHECK (a > 0)")), ""},
		{"drop of what defines nothing", expand(dropped("positive", "a > 0")), "defines no constraint"},
		{"drop of two things", expand(dropped("gone", "CHECK (a > 0), drop column b")), "it defines more than one thing"},
		{"drop of a statement", expand(dropped("positive", "CHECK (a > 0); drop table users")), `";" is not part of an expression`},
		{"drop of a key in expand", expand(dropped("apart", "UNIQUE (a)")), "Key dropped inside expand: Releases that still run may name"},
		{"drop of a key that others refer to", contract(dropped("apart", "")), "Something else needs it: The foreign key of_seen of others refers to (a)"},
		{"drop of the primary key", contract(dropped("seen_pkey", "")), "Primary key dropped: seen_pkey is the primary key of seen."},
		{"drop of what is gone", contract(dropped("nothing", "")), ""},
		{"rename of nothing", expand(&spec.RenameConstraint{Table: spec.ParseTable("seen"), Name: "a", To: "b"}), "Unknown constraint: Table seen has no constraint a. It has apart, positive, seen_pkey."},
		{"rename onto another", expand(&spec.RenameConstraint{Table: spec.ParseTable("seen"), Name: "apart", To: "positive"}), "Name is taken"},
		{"rename of no index", expand(&spec.RenameIndex{Schema: "public", Name: "a", To: "b"}), "Unknown index: There is no index a."},
		{"replacement of no index", replaced("a", "seen"), "Unknown index: Table seen has no index a to replace."},
		{"replacement of the index of a constraint", replaced("apart", "seen"), "Index of a constraint: The index apart is that of the constraint apart, and goes with it"},
		{"replacement of a part", replaced("z_at", "z"), "Index is part of another one: The index z_at is the part of others_at that is on z"},
		{"replacement of what a key refers to", replaced("seen_b", "seen"), "Something else needs it: The foreign key of_b of others refers to (b)"},
		{"drop of a replica identity", contract(&spec.DropIndex{Schema: "public", Name: "told_a"}), "Replica identity: The rows of told are told apart by the index told_a in replication."},
		{"drop of another index", contract(&spec.DropIndex{Schema: "public", Name: "told_b"}), ""},
		{"replacement of a replica identity", replaced("told_a", "told"), "Replica identity: The rows of told are told apart by the index told_a"},
		{"drop of the column of a replica identity", contract(&spec.DropColumn{Table: spec.ParseTable("told"), Column: "a"}), "Replica identity"},
		{"drop of another column", contract(&spec.DropColumn{Table: spec.ParseTable("told"), Column: "b"}), ""},
		{"drop of the key that is a replica identity", contract(&spec.DropConstraint{Table: spec.ParseTable("keyed"), Name: "keyed_a"}), "Replica identity: The rows of keyed are told apart by the index keyed_a"},
		{"replacement of the column of a replica identity", swapped("told", "a", "n"), "Something else needs the column as it is: told.a cannot be replaced while there is: index told_a, by which replication tells rows apart"},
		{"replacement of what tells partitions apart", swapped("events", "at", "n"), "Column tells partitions apart: events is partitioned by RANGE (at)."},
		{"replacement in a partition", swapped("z", "id", "n"), "Table is one of several: z is a partition of others, and has the columns of that. Replace the column of others."},
		{"drop of a part", contract(&spec.DropIndex{Schema: "public", Name: "z_at"}), "Index is part of another one"},
		{"drop of what a key refers to", contract(&spec.DropIndex{Schema: "public", Name: "seen_b"}), "Something else needs it: The foreign key of_b of others refers to (b)"},
		{"rename in contract", contract(&spec.RenameIndex{Schema: "public", Name: "a", To: "b"}), "Operation belongs in expand"},
		{"exclusion", expand(&spec.AddExclusion{Table: users, Name: "x", Method: "gist", Elements: []string{"name WITH ="}}), "Table users has about 0 rows in 0 kB"},
		{"exclusion without an operator", expand(&spec.AddExclusion{Table: users, Name: "x", Method: "gist", Elements: []string{"name"}}), `"name" does not say how it is compared`},
		{"exclusion that allows what is not there", expand(&spec.AddExclusion{Table: users, Name: "x", Method: "gist", Elements: []string{"name WITH ="}, Allow: []string{"exclusions"}}), "Unknown hazard"},
		{"view of a column that is not there", expand(served("nam", "full_name")), "Unknown column: Table users has no column nam"},
		{"view with a name twice", expand(served("name", "id")), "Name is taken: Another column of users is called id"},
		{"view of a table with a name twice", expand(&spec.ServeView{Table: users, To: "seen", Schema: "pleat_c"}), "Name is taken: Table seen exists"},
		{"view beside another change's", expand(&spec.ServeView{Table: spec.ParseTable("shown"), Columns: map[string]string{"a": "c"}, Schema: "pleat_c"}),
			"Table is in the middle of another change: The view pleat_other.shown shows shown"},
		{"column under another change's view", expand(&spec.AddColumn{Table: spec.ParseTable("shown"), Column: spec.Column{Name: "b", Type: "text"}}),
			"Releases read shown through the view pleat_other.shown"},
		{"column under the view of a change before", behind(expand(&spec.AddColumn{Table: spec.ParseTable("shown"), Column: spec.Column{Name: "b", Type: "text"}})), ""},
		{"column of the name that a view gives", behind(expand(&spec.AddColumn{Table: spec.ParseTable("shown"), Column: spec.Column{Name: "z", Type: "text"}})), "Name in the middle of another change: change.other calls the column a of shown z in its contract, and a view shows it to releases until then. Do this once that is contracted, by the new name."},
		{"column dropped that a view renames", behind(contract(&spec.DropColumn{Table: spec.ParseTable("shown"), Column: "a"})), "Name in the middle of another change"},
		{"column dropped under another change's view", contract(&spec.DropColumn{Table: spec.ParseTable("shown"), Column: "a"}), "and the change of the view does not come before this one. Name that in `after`, so that the view goes along."},
		{"column of a table to be renamed", behind(expand(&spec.AddColumn{Table: spec.ParseTable("former_named"), Column: spec.Column{Name: "b", Type: "text"}})),
			"Name in the middle of another change: change.other calls the table former_named later_named in its contract, and a view shows it to releases until then. Do this once that is contracted, by the new name."},
		{"column of a table by the name to come", behind(expand(&spec.AddColumn{Table: spec.ParseTable("later_named"), Column: spec.Column{Name: "b", Type: "text"}})), "Name in the middle of another change"},
		{"column of a table by the name that it had", behind(expand(&spec.AddColumn{Table: spec.ParseTable("once_named"), Column: spec.Column{Name: "b", Type: "text"}})), "Name that is gone: When it runs, change.other has called the table once_named now_named. Write that."},
		{"column of a table by its name", behind(expand(&spec.AddColumn{Table: spec.ParseTable("now_named"), Column: spec.Column{Name: "b", Type: "text"}})), ""},
		{"index of a table to be renamed", behind(expand(&spec.CreateIndex{Name: "i", Table: spec.ParseTable("former_named"), Columns: []string{"a"}})), "Name in the middle of another change: change.other calls the table former_named later_named"},
		{"index that is there of a table to be renamed", behind(expand(&spec.CreateIndex{Name: "on_a", Table: spec.ParseTable("former_named"), Columns: []string{"a"}})), ""},
		{"null in a column to be renamed, after a column", behind(expand(&spec.AddColumn{Table: spec.ParseTable("shown"), Column: spec.Column{Name: "b", Type: "text"}}, &spec.SetNotNull{Table: spec.ParseTable("shown"), Column: "a"})), "Name in the middle of another change: change.other calls the column a of shown z"},
		{"table dropped that is to be renamed", behind(contract(&spec.DropTable{Table: spec.ParseTable("former_named")})), "Name in the middle of another change"},
		{"sync of other columns under the view of a change before", behind(expand(&spec.Sync{Table: spec.ParseTable("shown"), Forward: map[string]string{"b": "c"}, Backward: map[string]string{"c": "b"}})), "the trigger would look for the former ones"},
		{"sync under the view of a change before", behind(expand(&spec.Sync{Table: spec.ParseTable("shown"), Forward: map[string]string{"b": "a"}, Backward: map[string]string{"a": "b"}})), "Name in the middle of another change"},
		{"sql beside a view of the same change", expand(served("name", "full_name"), &spec.SQL{Label: "x", Up: "alter table users alter column name set default 'x'"}), "Table is served by a view: A view of this change shows users as it is renamed, and would not know what the sql does to it (ACCESS EXCLUSIVE). Put it into a change that comes after, once this one is contracted."},
		{"sql in the contract of a view", ended(&spec.SQL{Label: "x", Up: "alter table only public.users drop column name"}), "Table is served by a view: A view of this change shows users as it is renamed"},
		{"down of sql in the contract of a view", ended(&spec.SQL{Label: "x", Up: "select 1", Down: "drop table users"}), "Table is served by a view"},
		{"rows in the contract of a view", ended(&spec.SQL{Label: "x", Up: "update users set full_name = 'x' where id = 1"}), ""},
		{"rows by a former name in the contract of a view", ended(&spec.SQL{Label: "x", Up: "update users set name = 'x' where id = 1"}), "Name that is gone: When it runs, this change has called the column name of users full_name. Write that."},
		{"another table in the contract of a view", ended(&spec.SQL{Label: "x", Up: "drop table if exists seen"}), ""},
		{"rows beside a view of the same change", expand(served("name", "full_name"), &spec.SQL{Label: "x", Up: "update users set name = 'x' where id = 1"}), ""},
		{"rows by a name that a view of the same change gives", expand(served("name", "full_name"), &spec.SQL{Label: "x", Up: "update users set full_name = 'x' where id = 1"}), "Name that is not there yet: The sql runs before this change calls the column name of users full_name"},
		{"rows under the view of a change before", behind(expand(&spec.SQL{Label: "x", Up: "update shown set a = 'x'"})), ""},
		{"rows under the view of a change before, by the name to come", behind(expand(&spec.SQL{Label: "x", Up: "update shown set z = 'x'"})), "Name that is not there yet: The sql runs before change.other calls the column a of shown z, which it does in its contract. Write the former name."},
		{"down under the view of a change before", behind(expand(&spec.SQL{Label: "x", Up: "select 1", Down: "update shown set z = 'x'"})), "Name that is not there yet"},
		{"verify under the view of a change before", behind(verified("select a from shown where a is null")), ""},
		{"verify under the view of a change before, by the name to come", behind(verified("select z from shown where z is null")), "Name that is not there yet: The sql runs before change.other calls the column a of shown z, which it does in its contract. Write the former name."},
		{"verify by the name that a table had", behind(verified("select from once_named")), "Name that is gone: When it runs, change.other has called the table once_named now_named. Write that."},
		{"backfill under the view of a change before", behind(filled("shown", "a", "a || 'x'")), ""},
		{"backfill under the view of a change before, by the name to come", behind(filled("shown", "c", "z || 'x'")), "Name that is not there yet: The sql runs before change.other calls the column a of shown z"},
		{"backfill beside a view of the same change", filled("users", "name", "full_name || 'x'", served("name", "full_name")), "Name that is not there yet: The sql runs before this change calls the column name of users full_name"},
		{"rows under a view, all columns", behind(expand(&spec.SQL{Label: "x", Up: "insert into copied select * from shown"})), ""},
		{"rows of another table under a view", behind(expand(&spec.SQL{Label: "x", Up: "update seen set z = (select count(*) from shown)"})), ""},
		{"rows in contract under a view", behind(contract(&spec.SQL{Label: "x", Up: "update shown set a = 'x'"})), "Name in the middle of another change: change.other calls the column a of shown z in its contract, which may come before this one or after it"},
		{"rows in contract under a view, by the name to come", behind(contract(&spec.SQL{Label: "x", Up: "update shown set z = 'x'"})), "Name in the middle of another change"},
		{"table changed under the view of a change before", behind(expand(&spec.SQL{Label: "x", Up: "alter table shown add b text"})), "Table is served by a view: A view of change.other shows shown as it is renamed, and would not know what the sql does to it (ACCESS EXCLUSIVE). Run it once that change is contracted. Before, add_column"},
		{"rows by the name of a table to come", behind(expand(&spec.SQL{Label: "x", Up: "delete from later_named"})), "Name that is not there yet: The sql runs before change.other calls the table former_named later_named"},
		{"rows by the name that a table had", behind(expand(&spec.SQL{Label: "x", Up: "delete from once_named"})), "Name that is gone: When it runs, change.other has called the table once_named now_named. Write that."},
		{"rows by the name that a table has", behind(expand(&spec.SQL{Label: "x", Up: "delete from now_named where y"})), ""},
		{"rows by the name that a column had", behind(contract(&spec.SQL{Label: "x", Up: "delete from now_named where x"})), "Name that is gone: When it runs, change.other has called the column x of once_named y"},
		{"table changed once its view is gone", behind(expand(&spec.SQL{Label: "x", Up: "alter table now_named add b text"})), ""},
		{"table changed that is to be renamed", behind(expand(&spec.SQL{Label: "x", Up: "alter table former_named add b text"})), "Table is served by a view"},
		{"view of a column of a partition", expand(&spec.ServeView{Table: spec.ParseTable("part"), Columns: map[string]string{"a": "c"}, Schema: "pleat_c"}), "Column of a partition: part is a partition of whole"},
		{"view past policies", expand(&spec.ServeView{Table: spec.ParseTable("guarded"), Columns: map[string]string{"a": "c"}, Schema: "pleat_c"}), "Row security would not hold"},
		{"add in contract", contract(first), "Operation belongs in expand"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cat := live()
			cat.Tables["seen"] = &migrations.Table{
				Columns:    []migrations.Column{{Name: "a", Type: "text"}, {Name: "b", Type: "text"}},
				Dependents: []migrations.Dependent{{Column: "a", Object: "view public.v"}},
				Constraints: []migrations.Constraint{
					{Name: "apart", Kind: migrations.Unique, Definition: "UNIQUE (a)", Columns: []string{"a"}, Valid: true},
					{Name: "positive", Kind: migrations.Check, Definition: "CHECK ((a > 0))", Columns: []string{"a"}, Valid: true},
				},
				PrimaryKey: []string{"c"}, PrimaryKeyName: "seen_pkey",
				References: []migrations.ForeignKey{
					{Name: "of_seen", Table: "others", Columns: []string{"x"}, Referenced: []string{"a"}},
					{Name: "of_b", Table: "others", Columns: []string{"x"}, Referenced: []string{"b"}},
				},
				Indexes: []migrations.Index{
					{Name: "apart", Constraint: "apart", Definition: "CREATE UNIQUE INDEX apart ON public.seen USING btree (a)", Unique: true, Valid: true},
					{Name: "seen_b", Definition: "CREATE UNIQUE INDEX seen_b ON public.seen USING btree (b)", Unique: true, Valid: true},
				},
			}
			cat.Tables["events"] = &migrations.Table{
				Columns: []migrations.Column{{Name: "id", Type: "int"}, {Name: "at", Type: "date"}}, Partitioned: "RANGE (at)",
				Partitions:  []migrations.Partition{{Table: "rest", Bound: "DEFAULT"}},
				Constraints: []migrations.Constraint{{Name: "named", Kind: migrations.Check, Definition: "CHECK (id > 0)", Valid: true}},
				Indexes:     []migrations.Index{{Name: "events_at", Definition: "CREATE INDEX events_at ON ONLY public.events USING btree (at)", Valid: true}},
			}
			cat.Tables["hashed"] = &migrations.Table{Columns: []migrations.Column{{Name: "k", Type: "text"}}, Partitioned: "HASH (k)"}
			cat.Tables["y"] = &migrations.Table{Columns: []migrations.Column{{Name: "id", Type: "int"}, {Name: "b", Type: "date"}}}
			cat.Tables["z"] = &migrations.Table{Columns: cat.Tables["events"].Columns, PartitionOf: "others", Indexes: []migrations.Index{{Name: "z_at", Parent: "others_at", Definition: "CREATE INDEX z_at ON public.z USING btree (at)", Valid: true}}}
			cat.Enums = map[string][]string{"mood": {"low", "high"}}
			cat.TypeUses = map[string][]migrations.TypeUse{"mood": {{Table: "users", Columns: []string{"mood"}, Object: "column mood of table users"}, {Object: "function f(mood)"}}}
			cat.Version = 14
			columns := []migrations.Column{{Name: "a", Type: "text"}}
			cat.Tables["shown"] = &migrations.Table{Columns: columns, Dependents: []migrations.Dependent{{Column: "a", Object: "view pleat_other.shown"}}}
			cat.Tables["former_named"] = &migrations.Table{Columns: columns, Dependents: []migrations.Dependent{{Column: "a", Object: "view pleat_other.later_named"}},
				Indexes: []migrations.Index{{Name: "on_a", Definition: "CREATE INDEX on_a ON public.former_named USING btree (a)", Valid: true}}}
			cat.Tables["told"] = &migrations.Table{
				Columns: []migrations.Column{{Name: "a", Type: "int", NotNull: true}, {Name: "b", Type: "int", NotNull: true}},
				Indexes: []migrations.Index{
					{Name: "told_a", Definition: "CREATE UNIQUE INDEX told_a ON public.told USING btree (a)", Unique: true, Valid: true, Identity: true, Key: []string{"a"}},
					{Name: "told_b", Definition: "CREATE UNIQUE INDEX told_b ON public.told USING btree (b)", Unique: true, Valid: true, Key: []string{"b"}},
				},
			}
			cat.Tables["keyed"] = &migrations.Table{
				Columns:     []migrations.Column{{Name: "a", Type: "int", NotNull: true}},
				Constraints: []migrations.Constraint{{Name: "keyed_a", Kind: migrations.Unique, Definition: "UNIQUE (a)", Columns: []string{"a"}, Valid: true}},
				Indexes:     []migrations.Index{{Name: "keyed_a", Constraint: "keyed_a", Definition: "CREATE UNIQUE INDEX keyed_a ON public.keyed USING btree (a)", Unique: true, Valid: true, Identity: true, Key: []string{"a"}}},
			}
			cat.Tables["now_named"] = &migrations.Table{Columns: []migrations.Column{{Name: "y", Type: "bool"}}}
			cat.Tables["part"] = &migrations.Table{Columns: columns, PartitionOf: "whole"}
			cat.Tables["guarded"] = &migrations.Table{Columns: columns, RowSecurity: true}
			p, diags := migrations.Lower(test.change, cat)
			diags = append(diags, p.Conflicts(migrations.Recorded{})...)
			var said []string
			for _, d := range diags {
				said = append(said, fmt.Sprintf("%s: %s", d.Summary, d.Detail))
			}
			if test.want == "" && len(said) > 0 || !strings.Contains(strings.Join(said, "\n"), test.want) {
				t.Errorf("got %q, want %q", said, test.want)
			}
		})
	}
}

func TestStatementsAreCutWherePostgresCutsThem(t *testing.T) {
	tests := []struct {
		sql  string
		want []string
	}{
		{"", nil},
		{" ; ;-- nothing\n;", nil},
		{"select 1", []string{"select 1"}},
		{"select ';' ; select E'\\';' ;", []string{"select ';'", "select E'\\';'"}},
		{"select $$;$$, $a$ $$;$b$ $a$; select \"a;\"\"b\"", []string{"select $$;$$, $a$ $$;$b$ $a$", `select "a;""b"`}},
		{"select 1 /* ; /* ; */ ; */ ; -- ;\nselect 2", []string{"select 1 /* ; /* ; */ ; */", "select 2"}},
		{"select 1 as a$b; select $1", []string{"select 1 as a$b", "select $1"}},
	}
	for _, test := range tests {
		p, diags := migrations.Lower(expand(&spec.SQL{Label: "1", Up: test.sql}), nil)
		if diags.HasErrors() {
			t.Errorf("%q: %v", test.sql, diags)
			continue
		}
		if diff := cmp.Diff(test.want, p.Expand[0].Statements, cmp.Transformer("nil", func(s []string) string { return strings.Join(s, "|") })); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.sql, diff)
		}
	}
}

// Whatever an author writes: an answer, and no more brackets closed than open.
func FuzzLower(f *testing.F) {
	for _, seed := range []string{"select 1; $$", "E'\\", "/* /* */", "(])", "$é$ $é$", "begin atomic end; end", "\"", "a.b(c)[1] -- x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		migrations.Lower(expand(first, sync(text, text), &spec.SQL{Label: "1", Up: text, Down: text},
			add(spec.Column{Name: "x", Type: text, Default: text})), live())
	})
}

// behind has a change come after the one that shows column a of the table shown
// as z and the table former_named as later_named, and has called once_named
// now_named and its column x y.
func behind(c *spec.Change) *spec.Change {
	c.Serving = append(c.Serving, &spec.Change{Name: "other", Expand: []spec.Operation{
		&spec.ServeView{Table: spec.ParseTable("shown"), Columns: map[string]string{"a": "z"}, Schema: "pleat_other"},
		&spec.ServeView{Table: spec.ParseTable("former_named"), To: "later_named", Schema: "pleat_other"},
		&spec.ServeView{Table: spec.ParseTable("once_named"), To: "now_named", Columns: map[string]string{"x": "y"}, Schema: "pleat_other"},
	}})
	return c
}

func TestARenameLeavesTheColumnsOfOtherTablesInForeignKeys(t *testing.T) {
	c := ended(&spec.SQL{Label: "x", Up: "select 1"})
	cat := live()
	cat.Tables["users"].Constraints = []migrations.Constraint{
		{Name: "other", Kind: migrations.Foreign, Definition: "FOREIGN KEY (name) REFERENCES names(name) ON DELETE SET NULL (name)", Columns: []string{"name"}, References: "names", Valid: true},
		{Name: "own", Kind: migrations.Foreign, Definition: "FOREIGN KEY (id) REFERENCES users(name)", Columns: []string{"id"}, References: "users", Valid: true},
		{Name: "key", Kind: migrations.Unique, Definition: "UNIQUE (name)", Columns: []string{"name"}, Valid: true},
	}
	cat.Tables["users"].References = []migrations.ForeignKey{
		{Name: "of", Table: "orders", Columns: []string{"name"}, Referenced: []string{"name"}, Definition: "FOREIGN KEY (name) REFERENCES users(name)", Valid: true},
		{Name: "own", Table: "users", Columns: []string{"id"}, Referenced: []string{"name"}, Definition: "FOREIGN KEY (id) REFERENCES users(name)", Valid: true},
	}
	users := migrations.Project(cat, lower(t, c, cat), migrations.Hidden).Tables["users"]
	var got []string
	for _, constraint := range users.Constraints {
		got = append(got, constraint.Definition)
	}
	for _, key := range users.References {
		got = append(got, key.Definition)
	}
	want := []string{
		`FOREIGN KEY ("full_name") REFERENCES names(name) ON DELETE SET NULL ("full_name")`,
		`FOREIGN KEY (id) REFERENCES users("full_name")`,
		`UNIQUE ("full_name")`,
		`FOREIGN KEY (name) REFERENCES users("full_name")`,
		`FOREIGN KEY (id) REFERENCES users("full_name")`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("definitions (-want +got):\n%s", diff)
	}
}
