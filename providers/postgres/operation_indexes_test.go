package postgres_test

import "pleat/spec"

func indexOperations() []operation {
	return []operation{
		{
			name: "unique index", setup: usersTable,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.CreateIndex{Name: "users_name", Table: users, Columns: []string{"id", "(lower(name))"}, Unique: true, Where: "id > 3"},
			}},
			end:    usersTable + "create unique index users_name on users (id, lower(name)) where id > 3",
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
