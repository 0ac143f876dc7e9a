package postgres_test

import (
	"testing"

	"pleat/spec"
)

// small is an author's function, which an index may call by its name alone.
const small = "create function small(text) returns text language sql immutable as 'select lower($1)';"

func indexOperations(t testing.TB) []operation {
	return []operation{
		{
			name: "unique index", setup: usersTable + small,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.CreateIndex{Name: "users_name", Table: users, Columns: []string{"id", "(small(name))"}, Unique: true, Where: "id > 3"},
			}},
			end:    usersTable + small + "create unique index users_name on users (id, small(name)) where id > 3",
			before: names, after: names,
		},
		{
			name: "drop an index", setup: usersTable + "create index by_name on users (name)",
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.DropIndex{Schema: "public", Name: "by_name"},
			}}},
			end:    usersTable,
			before: names, after: names,
		},
		{
			name: "drop the index of a partitioned table", setup: partitionedTables + "create index by_kind on events (kind)",
			fill: "insert into events (id, kind) select i, i % 7 from generate_series(1, 2000) i",
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.DropIndex{Schema: "public", Name: "by_kind"},
			}}},
			end:    partitionedTables,
			before: happening, after: happening,
		},
		{
			name: "replace an index", setup: usersTable + "create index by_name on users (name) where name <> ''",
			change: written(t, `replace_index "by_name" {
				table   = "users"
				columns = ["(lower(name)) text_pattern_ops", "id DESC"]
				unique  = true
				where   = "id > 3"
				hide    = "0s"
			}`),
			end:    usersTable + "create unique index by_name on users ((lower(name)) text_pattern_ops, id desc) where id > 3",
			before: names, after: names,
		},
		{
			name: "replace the index of a partitioned table", setup: partitionedTables + "create index by_kind on events (kind)",
			fill: "insert into events (id, kind) select i, i % 7 from generate_series(1, 2000) i",
			change: written(t, `replace_index "by_kind" {
				table   = "events"
				columns = ["kind", "id"]
			}`),
			end:    partitionedTables + "create index by_kind on events (kind, id)",
			before: happening, after: happening,
		},
		{
			name: "rename indexes", setup: usersTable + "create index by_name on users (name); alter table users add constraint apart unique (id, name)",
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.RenameIndex{Schema: "public", Name: "by_name", To: "users_name"},
				&spec.RenameIndex{Schema: "public", Name: "apart", To: "told_apart"},
			}},
			end:    usersTable + "create index users_name on users (name); alter table users add constraint told_apart unique (id, name)",
			before: names, after: names,
		},
	}
}
