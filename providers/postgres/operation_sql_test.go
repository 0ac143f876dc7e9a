package postgres_test

import "pleat/spec"

func sqlOperations() []operation {
	return []operation{
		{
			name: "author's own SQL", setup: usersTable,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.SQL{Label: "1", Up: "create view v as select id from users; comment on view v is 'a;b'", Down: "drop view v"},
			}},
			end:    usersTable + "create view v as select id from users; comment on view v is 'a;b'",
			before: names,
			after:  shape{read: "select id from v where id = $1"},
		},
	}
}
