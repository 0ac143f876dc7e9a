package hazard_test

import (
	"slices"
	"strings"
	"testing"

	"pleat/migrations/hazard"
)

// other is what another linter looks for, with SQL of that kind and the code
// that finds it here.
type other struct{ rule, sql, code string }

// squawk are the rules of squawk, with those of its main branch after 2.69.
var squawk = []other{
	{"adding-field-with-default", "alter table t add column a float8 default random()", "column_default_volatile"},
	{"adding-field-with-default", "alter table t add column a int generated always as (b) stored", "column_generated_stored"},
	{"adding-foreign-key-constraint", "alter table t add constraint c foreign key (a) references u (id)", "foreign_key_validates"},
	{"adding-not-nullable-field", "alter table t alter column a set not null", "not_null_scans"},
	{"adding-required-field", "alter table t add column a text not null", "column_required"},
	{"adding-serial-primary-key-field", "alter table t add column id serial primary key", "primary_key_builds_index"},
	{"adding-serial-primary-key-field", "alter table t add primary key (id)", "primary_key_builds_index"},
	{"adding-serial-primary-key-field", "alter table t add column id serial primary key", "column_auto_increment"},
	{"ban-add-column", "alter table t add column a text", "column_added"},
	{"ban-add-composite-attribute", "alter type y add attribute a text", "type_altered"},
	{"ban-add-enum-value", "alter type y add value 'a' before 'b'", "enum_value_added"},
	{"ban-alter-database-options", "alter database d set work_mem = '1GB'", "server_wide"},
	{"ban-alter-domain-with-add-constraint", "alter domain d add constraint c check (value > 0)", "domain_constraint"},
	{"ban-alter-extension", "alter extension e update to '2'", "extension_updated"},
	{"ban-alter-function-options", "alter function f() security definer", "function_options"},
	{"ban-alter-function-options", "alter procedure f() set search_path to s", "function_options"},
	{"ban-alter-generated-expression", "alter table t alter column a set expression as (b + 1)", "table_rewrite"},
	{"ban-alter-identity", "alter table t alter column a add generated always as identity", "identity_changed"},
	{"ban-alter-identity", "alter table t alter column a drop identity", "default_changed"},
	{"ban-alter-policy-condition", "alter policy p on t using (a > 1)", "row_security"},
	{"ban-alter-policy-roles", "alter policy p on t to r", "row_security"},
	{"ban-alter-role-options", "alter role r nologin", "server_wide"},
	{"ban-alter-row-level-security", "alter table t enable row level security", "row_security"},
	{"ban-alter-sequence-values", "alter sequence s restart with 1", "sequence_values"},
	{"ban-alter-system-options", "alter system set work_mem = '1GB'", "server_wide"},
	{"ban-alter-view-options", "alter view v set (security_invoker = true)", "view_options"},
	{"ban-char-field", "create table t (a char(3))", "type_char"},
	{"ban-concurrent-index-creation-in-transaction", "begin; create index concurrently i on t (a); commit", "not_in_transaction"},
	{"ban-create-domain-with-constraint", "create domain d as int check (value > 0)", "domain_constraint"},
	{"ban-create-policy", "create policy p on t using (true)", "row_security"},
	{"ban-detach-inheritance", "alter table p detach partition q concurrently", "rows_detached"},
	{"ban-detach-inheritance", "alter table q no inherit p", "rows_detached"},
	{"ban-disable-trigger", "alter table t disable trigger g", "trigger_disabled"},
	{"ban-drop-column", "alter table t drop column a", "drop_column"},
	{"ban-drop-constraint", "alter table t drop constraint c", "drop_constraint"},
	{"ban-drop-database", "drop database d", "drop_database"},
	{"ban-drop-default", "alter table t alter column a drop default", "default_changed"},
	{"ban-drop-domain", "drop domain d", "drop_object"},
	{"ban-drop-extension", "drop extension e", "extension_updated"},
	{"ban-drop-function", "drop function f()", "drop_object"},
	{"ban-drop-generated-expression", "alter table t alter column a drop expression", "default_changed"},
	{"ban-drop-index", "drop index i", "index_drop_blocks"},
	{"ban-drop-not-null", "alter table t alter column a drop not null", "not_null_dropped"},
	{"ban-drop-policy", "drop policy p on t", "drop_object"},
	{"ban-drop-schema", "drop schema s", "drop_schema"},
	{"ban-drop-sequence", "drop sequence s", "drop_object"},
	{"ban-drop-table", "drop table t", "drop_table"},
	{"ban-drop-trigger", "drop trigger g on t", "drop_object"},
	{"ban-drop-type", "drop type y", "drop_object"},
	{"ban-drop-view", "drop view v", "drop_object"},
	{"ban-duplicate-column-assignments", "update t set a = 1, a = 2 where b", "column_assigned_twice"},
	{"ban-new-write-restriction", "alter table t add constraint c check (a > 0) not valid", "writes_restricted"},
	{"ban-new-write-restriction", "create unique index concurrently i on t (a)", "writes_restricted"},
	{"ban-replace-view-function", "create or replace view v as select 1", "object_replaced"},
	{"ban-replace-view-function", "create or replace function f() returns int language sql as 'select 1'", "object_replaced"},
	{"ban-replica-identity", "alter table t replica identity nothing", "replication_changed"},
	{"ban-revoke", "revoke select on t from r", "privilege_removed"},
	{"ban-set-default", "alter table t alter column a set default 1", "default_changed"},
	{"ban-set-schema", "alter table t set schema s", "rename_table"},
	{"ban-set-schema", "alter function f() set schema s", "rename_object"},
	{"ban-truncate-cascade", "truncate t cascade", "truncate_cascade"},
	{"ban-uncommitted-transaction", "begin; select 1", "transaction_left_open"},
	{"changing-column-type", "alter table t alter column a type bigint", "column_type_change"},
	{"constraint-missing-not-valid", "alter table t add constraint c check (a > 0)", "check_validates"},
	{"constraint-missing-not-valid", "begin; alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c; commit", "validate_in_same_transaction"},
	{"disallowed-unique-constraint", "alter table t add constraint c unique (a)", "unique_builds_index"},
	{"identifier-too-long", "create table " + strings.Repeat("x", 64) + " ()", "identifier_too_long"},
	{"prefer-bigint-over-int", "create table t (a int)", "type_int"},
	{"prefer-bigint-over-int", "create table t (id int primary key)", "primary_key_int"},
	{"prefer-bigint-over-smallint", "create table t (a smallint)", "type_smallint"},
	{"prefer-identity", "create table t (id bigserial)", "type_serial"},
	{"prefer-repack", "vacuum full t", "vacuum_full"},
	{"prefer-repack", "cluster t using i", "vacuum_full"},
	{"prefer-robust-stmts", "create index concurrently i on t (a); drop table u", "not_idempotent"},
	{"prefer-text-field", "create table t (a varchar(9))", "type_varchar"},
	{"prefer-timestamptz", "create table t (a timestamp)", "type_timestamp"},
	{"renaming-column", "alter table t rename column a to b", "rename_column"},
	{"renaming-object", "alter view v rename to w", "rename_object"},
	{"renaming-table", "alter table t rename to u", "rename_table"},
	{"require-concurrent-index-creation", "create index i on t (a)", "index_blocks_writes"},
	{"require-concurrent-index-deletion", "drop index i", "index_drop_blocks"},
	{"require-concurrent-partition-detach", "alter table p detach partition q", "partition_detach_blocks"},
	{"require-concurrent-reindex", "reindex table t", "reindex_blocks"},
	{"require-enum-value-ordering", "alter type y add value 'a'", "enum_value_unordered"},
	{"require-lock-timeout", "alter table t add column a text", "no_lock_timeout"},
	{"require-statement-timeout", "alter table t add column a text", "no_statement_timeout"},
	{"require-table-schema", "create table t ()", "unqualified_table"},
	{"syntax-error", "selec 1", "syntax_error"},
	{"transaction-nesting", "begin; begin; commit", "transaction_nested"},
}

// strongMigrations are the checks of strong_migrations 2.8, with the SQL that
// the migration runs, and those of online_migrations 0.36. copy_algorithm and
// lock_option are about MySQL, and change_table about what the SQL shows.
var strongMigrations = []other{
	{"add_column_default", "alter table t add column a float8 default random()", "column_default_volatile"},
	{"add_column_default_callable", "alter table t add column a uuid default gen_random_uuid()", "column_default_volatile"},
	{"add_column_json", "alter table t add column a json", "type_json"},
	{"add_column_generated_stored", "alter table t add column a text generated always as (lower(b)) stored", "column_generated_stored"},
	{"add_column_auto_incrementing", "alter table t add column a bigserial", "column_auto_increment"},
	{"change_column", "alter table t alter column a type text", "column_type_change"},
	{"change_column_with_not_null", "alter table t alter column a type text, alter column a set not null", "column_type_change"},
	{"rename_column", "alter table t rename column a to b", "rename_column"},
	{"rename_enum_value", "alter type y rename value 'a' to 'b'", "rename_enum_value"},
	{"rename_schema", "alter schema s rename to z", "rename_schema"},
	{"rename_table", "alter table t rename to u", "rename_table"},
	{"remove_column", "alter table t drop column a", "drop_column"},
	{"add_reference", "alter table t add column a bigint; create index i on t (a)", "index_blocks_writes"},
	{"add_reference", "alter table t add column a bigint default 1 references u", "foreign_key_validates"},
	{"add_index", "create index i on t (a)", "index_blocks_writes"},
	{"remove_index", "drop index i", "index_drop_blocks"},
	{"add_index_columns", "create index concurrently i on t (a, b, c, d)", "index_many_columns"},
	{"add_index_corruption", "14.2:create index concurrently i on t (a)", "index_corruption_14"},
	{"create_table", "drop table if exists t; create table t ()", "drop_table"},
	{"execute", "do $$ begin end $$", "unclassified_sql"},
	{"change_column_default", "alter table t alter column a set default 1", "default_changed"},
	{"change_column_null", "alter table t alter column a set not null", "not_null_scans"},
	{"add_foreign_key", "alter table t add foreign key (a) references u", "foreign_key_validates"},
	{"validate_foreign_key", "alter table t add constraint c foreign key (a) references u not valid; alter table t validate constraint c", "validate_in_same_transaction"},
	{"add_check_constraint", "alter table t add check (a > 0)", "check_validates"},
	{"validate_check_constraint", "alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c", "validate_in_same_transaction"},
	{"add_exclusion_constraint", "alter table t add exclude using gist (a with &&)", "exclusion_constraint"},
	{"add_unique_constraint", "alter table t add unique (a)", "unique_builds_index"},
	{"add_column", "alter table t add column a text not null", "column_required"},
	{"add_column_default", "alter table t add column a int; update t set a = 1 where b", "data_and_schema"},
	{"add_column_default", "alter table t add column a text default ''; alter table t alter column a set not null", "slow_work_under_strong_lock"},
	{"backfilling_data", "alter table t add column a int; update t set a = 1 where b", "data_and_schema"},
	{"backfilling_data", "update t set a = 1", "whole_table_write"},
	{"add_reference", "create table t (a bigint references u)", "foreign_key_without_index"},
	{"add_index", "begin; create index concurrently i on t (a); commit", "not_in_transaction"},
	{"add_hash_index", "create index concurrently i on t using hash (a)", "hash_index"},
	{"remove_invalid_indexes", "set lock_timeout = '1s'; create index concurrently i on t (a)", "index_build_lock_timeout"},
	{"remove_invalid_indexes", "create index concurrently if not exists i on t (a)", "index_if_not_exists"},
	{"change_column_null_postgresql", "alter table t alter column a set not null", "not_null_scans"},
	{"add_primary_key", "alter table t add primary key (id)", "primary_key_builds_index"},
	{"short_primary_key_type", "create table t (id int primary key)", "primary_key_int"},
	{"mismatched_foreign_key_type", "create table u (id bigint primary key); create table t (a int references u (id))", "foreign_key_type_mismatch"},
	{"multiple_foreign_keys", "alter table t add foreign key (a) references u not valid, add foreign key (b) references v not valid", "several_foreign_keys"},
	{"multiple_foreign_keys", "alter table t add foreign key (a) references u not valid; alter table t add foreign key (b) references v not valid", "strong_locks_on_several_tables"},
	{"validate_constraint", "alter table t add column a text; alter table t validate constraint c", "slow_work_under_strong_lock"},
	{"drop_table_multiple_foreign_keys", "drop table t", "drop_table"},
	{"lock_timeout_limit", "set lock_timeout = '1h'", "lock_timeout_too_long"},
}

// What other linters find is found here, under the code that says so.
func TestWhatOthersFindIsFound(t *testing.T) {
	for _, list := range []struct {
		others []other
		said   func(hazard.Doc) []string
	}{
		{squawk, func(d hazard.Doc) []string { return d.Squawk }},
		{strongMigrations, func(d hazard.Doc) []string { return d.Strong }},
	} {
		for _, o := range list.others {
			sql, server := serverOf(o.sql)
			if o.rule == "ban-alter-generated-expression" {
				server.Version = 170000
			}
			if found := codes(t, sql, server); !slices.Contains(found, o.code) {
				t.Errorf("%s: %q has %v, want %s", o.rule, sql, found, o.code)
			}
			if d, _ := hazard.Explain(o.code); !slices.Contains(list.said(d), o.rule) {
				t.Errorf("%s does not say that it is %s", o.code, o.rule)
			}
		}
		for _, d := range hazard.Codes() {
			for _, rule := range list.said(d) {
				if !slices.ContainsFunc(list.others, func(o other) bool { return o.rule == rule && o.code == d.Code }) {
					t.Errorf("%s says that it is %s, which no test shows", d.Code, rule)
				}
			}
		}
	}
}
