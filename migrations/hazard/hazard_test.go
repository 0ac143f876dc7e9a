package hazard_test

import (
	"slices"
	"strings"
	"testing"

	"pleat/migrations/hazard"
)

// rules are, for each code, texts that have it and texts of nearly the same
// kind that do not. The server is 15 unless a text begins with a number.
var rules = []struct {
	code string
	has  []string
	not  []string
}{
	{"unclassified_sql",
		[]string{"do $$ begin end $$", "call p()", "select f()", "select app.lower('x')", "execute s", "drop schema s cascade", "copy t from program 'x'", "alter table all in tablespace a set tablespace b", "reindex schema public", "select pg_terminate_backend(1)", "select query_to_xml('drop table t', true, true, '')"},
		[]string{"select 1", "select lower('x'), count(*) from t", "select pg_catalog.setval('s', 1)", "create function f() returns int language sql as 'select g()'", "", "  -- nothing\n", "reindex table concurrently t", "insert into t values (coalesce(null, now()))", "select extract(year from now())"}},
	{"syntax_error",
		[]string{"selec 1", "alter table t add column c int not null not valid", "foo", "select 1; \\connect d", "select 'x", "create table t (a int", "select 1; select $$"},
		[]string{"select 1", "copy t from stdin;\n1\tit's\n\\.\nselect 1", "COPY t (a)\n  FROM STDIN WITH (format csv);\r\n1,;\r\n\\.\r\n"}},
	{"copy_from_stdin", []string{"copy t from stdin", "copy t (a) from stdin;\n1;2\n\\.\nselect 1"}, []string{"copy t to stdout", "copy t from '/tmp/x'", "copy t from program 'x'"}},
	{"not_in_this_version",
		[]string{"13:alter table p detach partition q concurrently", "14:create unique index concurrently i on t (a) nulls not distinct", "14:merge into t using u on t.a = u.a when matched then delete", "13:create function f() returns int language sql begin atomic select 1; end", "16:alter table t alter column a set expression as (b + 1)"},
		[]string{"14:alter table p detach partition q concurrently", "0:merge into t using u on t.a = u.a when matched then delete"}},
	{"not_in_transaction",
		[]string{"begin; create index concurrently i on t (a); commit", "begin; vacuum t; commit", "begin; alter table p detach partition q concurrently; commit", "begin; create database d; commit"},
		[]string{"create index concurrently i on t (a)", "select 1; vacuum t", "begin; analyze t; commit", "begin; reindex table t; commit"}},
	{"transaction_nested",
		[]string{"begin; begin; commit", "commit", "begin; commit; rollback"},
		[]string{"begin; commit", "begin; savepoint a; rollback to a; commit", "begin; commit; begin; commit"}},
	{"transaction_left_open",
		[]string{"begin; select 1", "start transaction; select 1", "begin; commit; begin"},
		[]string{"begin; select 1; commit", "select 1"}},
	{"index_blocks_writes",
		[]string{"create index on t (a)", "create unique index i on t (a)", "create table if not exists t (a bigint); create index on t (a)"},
		[]string{"create index concurrently i on t (a)", "create table t (a bigint); create index on t (a)", "create temp table t (a bigint); create index on t (a)"}},
	{"index_drop_blocks", []string{"drop index i"}, []string{"drop index concurrently i"}},
	{"reindex_blocks", []string{"reindex table t", "reindex index i", "reindex database d"}, []string{"reindex table concurrently t", "reindex (concurrently) index i"}},
	{"index_if_not_exists", []string{"create index concurrently if not exists i on t (a)"}, []string{"create index concurrently i on t (a)", "create index if not exists i on t (a)"}},
	{"index_build_lock_timeout",
		[]string{"set lock_timeout = '1s'; create index concurrently i on t (a)", "set lock_timeout = 500; drop index concurrently i"},
		[]string{"set lock_timeout = 0; create index concurrently i on t (a)", "create index concurrently i on t (a)", "set lock_timeout = '1s'; vacuum"}},
	{"index_corruption_14", []string{"14.2:create index concurrently i on t (a)"}, []string{"14.4:create index concurrently i on t (a)", "14:create index concurrently i on t (a)", "14.2:create index i on t (a)"}},
	{"index_many_columns", []string{"create index concurrently i on t (a, b, c, d)"}, []string{"create index concurrently i on t (a, b, c)", "create unique index concurrently i on t (a, b, c, d)"}},
	{"hash_index", []string{"create index concurrently i on t using hash (a)"}, []string{"create index concurrently i on t using gin (a)"}},
	{"strong_locks_on_several_tables",
		[]string{"alter table a add column x text; alter table b add column x text", "begin; alter table a drop column x; drop table b; commit"},
		[]string{"alter table a add column x text; alter table a add column y text", "begin; alter table a add column x text; commit; begin; alter table b add column x text; commit", "create table a (x text); create table b (x text)", "alter table a add column x text; select * from b", "alter table a add column x text; vacuum; alter table b add column x text"}},
	{"slow_work_under_strong_lock",
		[]string{"alter table a add column x text; create index on a (x)", "alter table a add column x text; alter table a alter column x set not null"},
		[]string{"create index on a (x); alter table a add column x text", "alter table a add column x text; alter table a add column y text", "create table a (x text); create index on a (x)"}},
	{"several_alters", []string{"alter table a add column x text; alter table a add column y text"}, []string{"alter table a add column x text, add column y text", "create table a (); alter table a add column x text; alter table a add column y text"}},
	{"lock_table", []string{"lock table t", "lock t in share mode"}, []string{"lock t in access share mode", "lock t in share update exclusive mode"}},
	{"lock_timeout_too_long",
		[]string{"set lock_timeout = 0", "set local lock_timeout = '1min'", "reset lock_timeout", "set lock_timeout to default", "set lock_timeout = '11s'"},
		[]string{"set lock_timeout = '10s'", "set lock_timeout = 200", "set statement_timeout = 0", "set lock_timeout = '500ms'"}},
	{"no_lock_timeout", []string{"alter table t add column a text"}, []string{"set lock_timeout = '1s'; alter table t add column a text", "select * from t", "create table t ()"}},
	{"no_statement_timeout", []string{"alter table t add column a text"}, []string{"set statement_timeout = '1s'; alter table t add column a text", "insert into t values (1)"}},
	{"not_idempotent", []string{"create table t (); vacuum t", "vacuum t; alter table t drop column a"}, []string{"create table t ()", "create table if not exists t (); vacuum t", "vacuum t; alter table t drop column if exists a"}},
	{"vacuum_full", []string{"vacuum full t", "vacuum (full) t", "cluster t using i", "cluster"}, []string{"vacuum t", "vacuum (full false) t", "vacuum analyze t"}},
	{"refresh_blocks", []string{"refresh materialized view v"}, []string{"refresh materialized view concurrently v"}},
	{"column_default_volatile",
		[]string{"alter table t add column a float8 default random()", "alter table t add column a uuid default gen_random_uuid()", "alter table t add column a text default f()", "alter table t add column a bigint default nextval('s')", "alter table t add column a timestamptz default clock_timestamp()", "alter table t add column a text default (lower(f()))"},
		[]string{"alter table t add column a timestamptz default now()", "alter table t add column a timestamptz default current_timestamp", "alter table t add column a int default 1", "alter table t add column a text default lower('X')", "alter table t alter column a set default random()", "create table t (a float8 default random())", "alter table t add column a text default 'random()'"}},
	{"column_generated_stored", []string{"alter table t add column a int generated always as (b + 1) stored"}, []string{"create table t (b int, a int generated always as (b + 1) stored)", "alter table t add column a int"}},
	{"column_required", []string{"alter table t add column a int not null", "alter table t add column a int not null default null"}, []string{"alter table t add column a int not null default 1", "alter table t add column a int", "create table t (); alter table t add column a int not null"}},
	{"identity_changed", []string{"alter table t alter column a add generated by default as identity", "alter table t alter column a set generated always"}, []string{"alter table t alter column a restart", "create table t (a int); alter table t alter column a add generated always as identity"}},
	{"sequence_values", []string{"alter sequence s restart", "alter sequence s as bigint", "alter sequence s cycle", "alter sequence s no minvalue", "alter sequence s maxvalue 9", "alter table t alter column a set increment by 2"}, []string{"alter sequence s owned by t.a", "alter sequence s cache 9", "create sequence s; alter sequence s restart", "alter table t alter column a set generated always"}},
	{"function_options", []string{"alter function f(int) reset all", "alter routine f stable"}, []string{"alter function f() rename to g", "alter function f() owner to r"}},
	{"view_options", []string{"alter view v set (security_barrier)", "alter view v reset (check_option)"}, []string{"alter view v alter column a set default 1", "alter table t set (fillfactor = 70)", "create view v as select 1; alter view v set (security_barrier)"}},
	{"rows_detached", []string{"alter table p detach partition q", "alter table q no inherit p"}, []string{"alter table q inherit p", "alter table p attach partition q default", "alter table p detach partition q finalize", "create table p (a int) partition by list (a); alter table p detach partition q"}},
	{"writes_restricted", []string{"alter table t add check (a > 0) not valid", "alter table t alter column a set not null", "create unique index i on t (a)", "alter table t add foreign key (a) references u not valid"}, []string{"create index i on t (a)", "create table t (a int); alter table t alter column a set not null, add unique (a)", "create table t (a int); create unique index i on t (a)", "alter table t validate constraint c"}},
	{"column_added", []string{"alter table t add column a int"}, []string{"create table t (); alter table t add column a int"}},
	{"enum_value_added", []string{"alter type y add value 'a'"}, []string{"alter type y rename value 'a' to 'b'", "create type y as enum ('a'); alter type y add value 'b'"}},
	{"column_auto_increment", []string{"alter table t add column a bigserial", "alter table t add column a bigint generated by default as identity"}, []string{"alter table t add column a bigint", "create table t (a bigserial)"}},
	{"column_type_change",
		[]string{"alter table t alter column a type bigint", "create table t (a varchar(20)); alter table t alter column b type int; alter table u alter column a type text", "alter table t alter a set data type varchar(10)"},
		[]string{"create table t (a int); alter table t alter column a type bigint"}},
	{"not_null_scans",
		[]string{"alter table t alter column a set not null", "alter table t add constraint c check (a is not null) not valid; alter table t alter column a set not null", "alter table t add constraint c check (a is not null or b) not valid; alter table t validate constraint c; alter table t alter column a set not null"},
		[]string{"begin; alter table t add constraint c check (a is not null) not valid; commit; begin; alter table t validate constraint c; commit; alter table t alter column a set not null", "create table t (a int); alter table t alter column a set not null"}},
	{"not_null_dropped", []string{"alter table t alter column a drop not null"}, []string{"alter table t alter column a drop default"}},
	{"drop_column", []string{"alter table t drop column a", "alter table t drop column if exists a"}, []string{"alter table t drop constraint a", "create table t (a int); alter table t drop column a"}},
	{"rename_column", []string{"alter table t rename column a to b", "alter table t rename a to b"}, []string{"alter table t rename constraint a to b", "alter index t rename to b"}},
	{"default_changed", []string{"alter table t alter column a set default 1", "alter table t alter column a drop default"}, []string{"alter table t add column a int default 1"}},
	{"column_assigned_twice", []string{"update t set a = 1, a = 2 where b", "insert into t (a, a) values (1, 2)", "create table t (a bigint, a text)"}, []string{"update t set a = 1, b = 2 where b", "update t set a[1] = 1, a[2] = 2 where b"}},
	{"foreign_key_validates",
		[]string{"alter table t add foreign key (a) references u", "alter table t add constraint k foreign key (a) references u (id)", "alter table t add column a bigint default 1 references u"},
		[]string{"alter table t add foreign key (a) references u not valid", "create table t (a bigint references u)", "alter table t add column a bigint references u"}},
	{"check_validates", []string{"alter table t add check (a > 0)", "alter table t add column a int check (a > 0)"}, []string{"alter table t add check (a > 0) not valid", "create table t (a int check (a > 0))"}},
	{"validate_in_same_transaction",
		[]string{"alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c"},
		[]string{"begin; alter table t add constraint c check (a > 0) not valid; commit; alter table t validate constraint c", "alter table t validate constraint c"}},
	{"unique_builds_index", []string{"alter table t add unique (a)", "alter table t add constraint c unique (a)", "alter table t add column a text unique"}, []string{"alter table t add constraint c unique using index i", "create table t (a text unique)"}},
	{"primary_key_builds_index", []string{"alter table t add primary key (a)"}, []string{"alter table t add constraint c primary key using index i", "create table t (a bigint primary key)"}},
	{"exclusion_constraint", []string{"alter table t add exclude using gist (a with &&)"}, []string{"create table t (a int4range, exclude using gist (a with &&))"}},
	{"drop_constraint", []string{"alter table t drop constraint c", "alter domain d drop constraint c"}, []string{"alter table t drop column c"}},
	{"several_foreign_keys", []string{"alter table t add foreign key (a) references u not valid, add foreign key (b) references v not valid"}, []string{"alter table t add foreign key (a) references u not valid", "create table t (a bigint references u, b bigint references v)", "begin; alter table t add foreign key (a) references u not valid; commit; begin; alter table t add foreign key (b) references v not valid; commit"}},
	{"foreign_key_without_index", []string{"create table t (a bigint references u)", "create table t (a bigint, b bigint, foreign key (a, b) references u); create index on t (a)"}, []string{"create table t (a bigint references u); create index on t (a)", "create table t (a bigint primary key references u)", "create table t (a bigint, b bigint, foreign key (a, b) references u); create index on t (b, a, c)"}},
	{"foreign_key_type_mismatch", []string{"create table u (id bigint primary key); create table t (a int references u (id))"}, []string{"create table u (id bigserial primary key); create table t (a bigint references u (id))", "create table t (a int references u (id))"}},
	{"domain_constraint", []string{"create domain d as int check (value > 0)", "alter domain d add check (value > 0)", "alter domain d set not null", "create domain d as int not null; alter table t add column a d"}, []string{"create domain d as int", "alter domain d add constraint c check (value > 0) not valid"}},
	{"drop_table", []string{"drop table t", "drop table if exists t; create table t ()"}, []string{"create table t (); drop table t", "drop view t"}},
	{"drop_cascade", []string{"drop table t cascade", "alter table t drop column a cascade", "drop type t cascade"}, []string{"drop table t", "alter table t drop column a"}},
	{"rename_table", []string{"alter table t rename to u", "alter table t set schema s"}, []string{"create table t (); alter table t rename to u", "alter index t rename to u"}},
	{"rename_schema", []string{"alter schema s rename to t"}, []string{"alter type s rename to t"}},
	{"drop_schema", []string{"drop schema s", "drop schema s cascade"}, []string{"create schema s"}},
	{"drop_database", []string{"drop database d"}, []string{"create database d"}},
	{"truncate", []string{"truncate t", "truncate table t, u"}, []string{"create table t (); truncate t"}},
	{"truncate_cascade", []string{"truncate t cascade"}, []string{"truncate t"}},
	{"table_rewrite", []string{"alter table t set tablespace s", "alter table t set logged", "alter table t set unlogged", "alter table t set access method heap", "alter index i set tablespace s"}, []string{"alter table t set (fillfactor = 70)", "create table t (); alter table t set unlogged"}},
	{"partition_attach_scans", []string{"alter table p attach partition q for values in (1)"}, []string{"alter index p attach partition q", "create table q (); alter table p attach partition q for values in (1)", "alter table q add constraint c check (a = 1) not valid; alter table q validate constraint c; alter table p attach partition q for values in (1)"}},
	{"partition_detach_blocks", []string{"alter table p detach partition q"}, []string{"alter table p detach partition q concurrently", "alter table p detach partition q finalize"}},
	{"partition_of_blocks", []string{"create table q partition of p for values in (1)"}, []string{"create table p (a int) partition by list (a); create table q partition of p for values in (1)", "create table q () inherits (p)"}},
	{"row_security", []string{"alter table t enable row level security", "create policy p on t using (true)", "alter policy p on t using (true)"}, []string{"create table t (); alter table t enable row level security"}},
	{"trigger_disabled", []string{"alter table t disable trigger all", "set session_replication_role = replica"}, []string{"alter table t enable trigger all", "reset session_replication_role"}},
	{"trigger_interplay", []string{"create trigger g before update on t for each row execute function f()"}, []string{"create trigger g after update on t for each row execute function f()", "create trigger g before update on t execute function f()"}},
	{"replication_changed", []string{"alter table t replica identity full", "create publication p for table t", "drop publication p"}, []string{"comment on table t is 'x'"}},
	{"owner_changed", []string{"alter table t owner to r", "alter schema s owner to r"}, []string{"grant select on t to r"}},
	{"rename_enum_value", []string{"alter type t rename value 'a' to 'b'"}, []string{"alter type t add value 'a' before 'b'"}},
	{"enum_value_in_transaction", []string{"alter type t add value 'new' after 'a'; insert into u values ('new')"}, []string{"alter type t add value 'new' after 'a'; insert into u values ('old')", "begin; alter type t add value 'new' after 'a'; commit; insert into u values ('new')"}},
	{"enum_value_unordered", []string{"alter type t add value 'a'"}, []string{"alter type t add value 'a' before 'b'", "alter type t add value 'a' after 'b'"}},
	{"type_altered", []string{"alter type t add attribute a int", "alter type t drop attribute a", "alter type t rename attribute a to b"}, []string{"create type t as (a int); alter type t add attribute b int"}},
	{"rename_object", []string{"alter view v rename to w", "alter function f() rename to g", "alter type t rename to u", "alter sequence s rename to r"}, []string{"alter trigger a on t rename to b", "create type t as enum ('a'); alter type t rename to u"}},
	{"drop_object", []string{"drop view v", "drop function f()", "drop trigger g on t", "drop type t", "drop sequence s", "drop policy p on t"}, []string{"drop index concurrently i", "create view v as select 1; drop view v"}},
	{"object_replaced", []string{"create or replace view v as select 1", "create or replace function f() returns int language sql as 'select 1'"}, []string{"create view v as select 1", "create function f() returns int language sql as 'select 1'"}},
	{"extension_updated", []string{"alter extension e update", "drop extension e"}, []string{"create extension e"}},
	{"privilege_removed", []string{"revoke select on t from r", "revoke a from b"}, []string{"grant select on t to r", "grant a to b"}},
	{"server_wide", []string{"create role r", "alter system set a = 1", "create database d", "alter role r set a = 1"}, []string{"create schema s", "set a.b = 1"}},
	{"whole_table_write", []string{"update t set a = 1", "delete from t", "delete from t where true", "with d as (delete from t returning 1) select * from d", "merge into t using u on true when matched then delete"}, []string{"update t set a = 1 where b", "merge into t using u on t.a = u.a when matched then delete", "merge into t using u on true when not matched then insert values (1)", "create table t (); delete from t", "insert into t select * from u"}},
	{"data_and_schema", []string{"alter table t add column a int; update t set a = 1 where b", "update t set a = 1 where b; alter table t drop column c", "alter table t add column a int; insert into u select * from t"}, []string{"begin; alter table t add column a int; commit; update t set a = 1 where b", "create table t (a int); insert into t select 1 from u", "alter table t add column a int; insert into u values (1)"}},
	{"type_json", []string{"create table t (a json)", "alter table t add column a json"}, []string{"create table t (a jsonb)"}},
	{"type_char", []string{"create table t (a char(3))"}, []string{"create table t (a text)", "create table t (a \"char\")"}},
	{"type_varchar", []string{"create table t (a varchar(3))"}, []string{"create table t (a varchar)"}},
	{"type_timestamp", []string{"create table t (a timestamp)"}, []string{"create table t (a timestamptz)", "create table t (a timestamp with time zone)"}},
	{"type_int", []string{"create table t (a int)", "alter table t add column a integer[]"}, []string{"create table t (a bigint)", "create table t (a int primary key)"}},
	{"type_smallint", []string{"create table t (a smallint)"}, []string{"create table t (a bigint)"}},
	{"type_serial", []string{"create table t (a bigserial primary key)"}, []string{"create table t (a bigint generated by default as identity)"}},
	{"type_enum", []string{"create type t as enum ('a')"}, []string{"create type t as (a int)"}},
	{"primary_key_int", []string{"create table t (a int primary key)", "create table t (a serial primary key)", "create table t (a int, primary key (a))"}, []string{"create table t (a bigint primary key)"}},
	{"identifier_too_long", []string{"create table " + strings.Repeat("x", 64) + " ()", `alter table t add column "` + strings.Repeat("é", 40) + `" text`}, []string{"create table " + strings.Repeat("x", 63) + " ()", "insert into t values ('" + strings.Repeat("x", 80) + "')"}},
	{"unqualified_table", []string{"select * from t", "alter table t add column a text"}, []string{"select * from s.t", "create temp table t ()"}},
	{"column_padding", []string{"create table t (a bool, b bigint, c bool, d bigint)"}, []string{"create table t (b bigint, d bigint, a bool, c bool)", "create table t (a text, b bigint)"}},
}

// Only with a transaction of the caller's there is one to end.
var within = []struct{ code, has, not string }{
	{"transaction_control", "commit", "set local lock_timeout = 100"},
	{"not_in_transaction", "create index concurrently i on t (a)", "create index i on t (a)"},
}

func codes(t *testing.T, sql string, o hazard.Options) []string {
	t.Helper()
	all, err := hazard.Read(sql, o)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var found []string
	for _, s := range all {
		for _, f := range s.Findings {
			found = append(found, f.Code)
			if f.Text == "" || f.Start < s.Start || f.Start >= s.End {
				t.Errorf("%s: finding %+v of %d to %d", sql, f, s.Start, s.End)
			}
		}
	}
	return found
}

var versions = map[string]int{"0": 0, "13": 130000, "14": 140000, "14.2": 140002, "14.4": 140004, "16": 160000}

// serverOf takes the version off that a text of the table may begin with.
func serverOf(text string) (string, hazard.Options) {
	if number, sql, ok := strings.Cut(text, ":"); ok {
		if v, known := versions[number]; known {
			return sql, hazard.Options{Version: v}
		}
	}
	return text, hazard.Options{Version: 150000}
}

func TestRules(t *testing.T) {
	for _, r := range rules {
		for _, text := range r.has {
			sql, o := serverOf(text)
			if found := codes(t, sql, o); !slices.Contains(found, r.code) {
				t.Errorf("%s: %v, want %s", text, found, r.code)
			}
		}
		for _, text := range r.not {
			sql, o := serverOf(text)
			if slices.Contains(codes(t, sql, o), r.code) {
				t.Errorf("%s has %s", text, r.code)
			}
		}
	}
	for _, r := range within {
		inside := hazard.Options{InTransaction: true}
		if !slices.Contains(codes(t, r.has, inside), r.code) || slices.Contains(codes(t, r.not, inside), r.code) {
			t.Errorf("%s: %v; %s: %v", r.has, codes(t, r.has, inside), r.not, codes(t, r.not, inside))
		}
	}
}

// Every code has a text that has it and one that has not.
func TestEveryCodeIsShown(t *testing.T) {
	for _, d := range hazard.SQLCodes() {
		i := slices.IndexFunc(rules, func(r struct {
			code string
			has  []string
			not  []string
		}) bool {
			return r.code == d.Code && len(r.has) > 0 && len(r.not) > 0
		})
		if i < 0 && d.Code != "transaction_control" {
			t.Errorf("%s is in no test", d.Code)
		}
		if got, ok := hazard.Explain(d.Code); !ok || got.Code != d.Code {
			t.Errorf("Explain(%s) = %+v", d.Code, got)
		}
	}
	if _, ok := hazard.Explain("nothing"); ok {
		t.Error("nothing is explained")
	}
}

func TestHarmlessSQLHasNoHazard(t *testing.T) {
	for _, sql := range []string{
		"create table t (id bigint primary key, a text); create index on t (a); insert into t values (1, 'x'); alter table t add column b int not null; comment on table t is 'x'",
		"alter table t add column a text", "grant select on t to r", "create extension pg_trgm", "insert into t values (1)",
		"create view v as select * from t", "create index concurrently i on t (a)", "alter table t add check (a > 0) not valid",
	} {
		all, err := hazard.Read(sql, hazard.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			for _, f := range s.Risks() {
				t.Errorf("%s: %+v", s.Text, f)
			}
		}
	}
}

// A reader of a directory knows what the files before have made.
func TestReaderRemembers(t *testing.T) {
	r := hazard.NewReader(hazard.Options{})
	for _, step := range []struct{ sql, has, not string }{
		{"create table t (a varchar(20), b int)", "", "drop_table"},
		{"alter table t alter column a type text", "", "column_type_change"},
		{"alter table t alter column a type varchar(10)", "column_type_change", ""},
		{"alter table t add constraint c check (b is not null) not valid", "", "check_validates"},
		{"alter table t validate constraint c", "", "validate_in_same_transaction"},
		{"alter table t alter column b set not null", "", "not_null_scans"},
		{"alter table t drop constraint c", "drop_constraint", ""},
		{"alter table t alter column b set not null", "not_null_scans", ""},
		{"create domain d as int check (value > 0)", "domain_constraint", ""},
		{"alter table t add column e d", "domain_constraint", ""},
		{"create index on t (a)", "index_blocks_writes", ""},
	} {
		all, err := r.Read(step.sql)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, f := range all[0].Findings {
			found = append(found, f.Code)
		}
		if step.has != "" && !slices.Contains(found, step.has) || step.not != "" && slices.Contains(found, step.not) {
			t.Errorf("%s: %v", step.sql, found)
		}
	}
}

func TestStatementsAreWhereTheyAre(t *testing.T) {
	sql := "-- first\nselect 1; /* a ; b */ insert into t values ('x;y'),\n ($$;$$);\n\nselec 2;\n create function f() returns int begin atomic select 1; select 2; end"
	for _, broken := range []bool{true, false} {
		text := sql
		if !broken {
			text = strings.Replace(sql, "selec 2", "select 2", 1)
		}
		all, err := hazard.Read(text, hazard.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if text[s.Start:s.End] != s.Text || s.Line != 1+strings.Count(text[:s.Start], "\n") {
				t.Errorf("%q at %d to %d, line %d", s.Text, s.Start, s.End, s.Line)
			}
		}
		if len(all) != 4 && !broken || len(all) < 4 || all[0].Text != "select 1" || !strings.HasPrefix(all[1].Text, "insert") || all[2].Line != 5 {
			t.Errorf("statements are %+v", all)
		}
	}
}

// A finding is at the word that it is about, whatever else is in the text.
func TestFindingsAreWhereTheyAre(t *testing.T) {
	for _, test := range []struct{ sql, code, at string }{
		{"-- add column\nalter table users add column a int default random();\nFOO;", "column_default_volatile", "a int default random()"},
		{"-- é\nFOO;\nalter table users add column a int, add column b int default random()", "column_default_volatile", "b int default random()"},
		{"-- é\nselect 1;\nselect 'é', from from t", "syntax_error", "from from t"},
		{"FOO;\nalter table t add colum a int, b", "syntax_error", "int, b"},
		{"create table t (a int", "syntax_error", "t"},
		{"select 1;\nselect 'x", "syntax_error", "'x"},
		{"copy t from stdin;\n1\tit's\n\\.\nalter table u add column a int default random()", "column_default_volatile", "a int default random()"},
	} {
		all, err := hazard.Read(test.sql, hazard.Options{})
		if err != nil {
			t.Fatal(err)
		}
		at := ""
		for _, s := range all {
			for _, f := range s.Findings {
				if f.Code == test.code {
					at = test.sql[f.Start:s.End]
				}
			}
		}
		if at != test.at {
			t.Errorf("%q has %s at %q, want %q", test.sql, test.code, at, test.at)
		}
	}
}

// What a statement is called is what the manual calls it.
func TestCommandsAreNamed(t *testing.T) {
	for sql, want := range map[string]string{
		"alter system set a = 1": "ALTER SYSTEM", "create /* x */ tablespace s location 'x'": "CREATE TABLESPACE", "checkpoint": "CHECKPOINT",
		"reassign owned by a to b": "REASSIGN OWNED", "load 'x'": "LOAD", "drop role r": "DROP ROLE",
	} {
		all, err := hazard.Read(sql, hazard.Options{})
		if err != nil || len(all) != 1 || all[0].Findings[0].Text != want {
			t.Errorf("%s: %+v, %v", sql, all, err)
		}
	}
}

func TestSingle(t *testing.T) {
	for _, good := range []string{"1", "a + b", "lower(name)", "(select max(x) from t)", "split_part(a, ' ', 1) -- first", "case when a then b end", "'a;b'", "a = any(array[1])", "$$x$$"} {
		if err := hazard.Single(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "  ", "1)", "1; select 2", "1) from t where (true", "a b", "1, 2) , (3", "1 as x", "1) as x, (2", "/* x", "'x", "1) union select (2", "a) into t from (select 1", "1\x00"} {
		if err := hazard.Single(bad); err == nil {
			t.Errorf("%q is an expression", bad)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, r := range rules {
		for _, text := range append(r.has, r.not...) {
			f.Add(text)
		}
	}
	for _, text := range strings.Split(corpusSQL, "\n") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		all, err := hazard.Read(sql, hazard.Options{InTransaction: len(sql)%2 == 0})
		if err != nil {
			return
		}
		last := 0
		for _, s := range all {
			if s.Start < last || s.End < s.Start || s.End > len(sql) || sql[s.Start:s.End] != s.Text {
				t.Fatalf("%q: statement %d to %d after %d", sql, s.Start, s.End, last)
			}
			last = s.End
		}
	})
}
