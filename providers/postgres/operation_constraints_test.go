package postgres_test

import (
	"testing"

	"pleat/spec"
)

var orders = spec.ParseTable("orders")

// ordersTables is a table with rows that refer to others, without saying so.
const (
	ordersTables = "create table users (id bigserial primary key, name text not null); create table orders (id bigserial primary key, user_id bigint, total int);"
	ordersRows   = "insert into orders (user_id, total) select id, id % 100 from users"
)

// ordering is what a release does that refers to users that exist.
var ordering = shape{
	read: "select o.id, u.name from orders o join users u on u.id = o.user_id where o.id = $1",
	writes: []string{
		"insert into orders (user_id, total) values ($1, 7)",
		"update orders set total = total + 1 where id = $1",
		"update users set name = 'Ada King' where id = $1",
	},
}

func constraintOperations(t testing.TB) []operation {
	return []operation{
		{
			name: "add a check", setup: ordersTables, fill: ordersRows,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.AddCheck{Table: orders, Name: "total_is_known", Expression: "total >= 0 and total is not null or id < -1"},
			}},
			end:    ordersTables + "alter table orders add constraint total_is_known check (total >= 0 and total is not null or id < -1)",
			before: ordering, after: ordering,
		},
		{
			name: "enforce a check", setup: ordersTables, fill: ordersRows,
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.AddCheck{Table: orders, Name: "total_is_known", Expression: "total >= 0"},
			}}},
			end:    ordersTables + "alter table orders add constraint total_is_known check (total >= 0)",
			before: ordering, after: ordering,
		},
		{
			name: "add a foreign key", setup: ordersTables, fill: ordersRows,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.AddForeignKey{Table: orders, Name: "orders_user_id_fkey", Columns: []string{"user_id"}, References: users,
					OnDelete: "cascade", OnUpdate: "set null", MatchFull: true, Deferral: spec.Deferral{Deferrable: true, Deferred: true}},
			}},
			end: ordersTables + `alter table orders add foreign key (user_id) references users match full
				on delete cascade on update set null deferrable initially deferred`,
			before: ordering, after: ordering,
		},
		{
			name: "enforce a foreign key", setup: ordersTables, fill: ordersRows,
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.AddForeignKey{Table: orders, Name: "orders_user_id_fkey", Columns: []string{"user_id"}, References: users, To: []string{"id"}},
			}}},
			end:    ordersTables + "alter table orders add foreign key (user_id) references users",
			before: ordering, after: ordering,
		},
		{
			name: "add a unique constraint", setup: usersTable,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.AddUnique{Table: users, Name: "users_id_name_key", Columns: []string{"id", "name"}, Deferral: spec.Deferral{Deferrable: true}},
			}},
			end:    usersTable + "alter table users add unique (id, name) deferrable",
			before: names, after: names,
		},
		{
			name: "enforce a unique constraint", setup: usersTable,
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.AddUnique{Table: users, Name: "users_id_name_key", Columns: []string{"id"}, Include: []string{"name"}},
			}}},
			end:    usersTable + "alter table users add constraint users_id_name_key unique (id) include (name)",
			before: names, after: names,
		},
		{
			name: "add a primary key", setup: "create table users (id bigserial, name text not null); alter table users alter id drop not null;",
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.AddPrimaryKey{Table: users, Name: "users_pkey", Columns: []string{"id"}},
			}},
			end:    usersTable,
			before: names, after: names,
		},
		{
			// What the diagnostic about a dropped primary key says to do instead.
			name: "another primary key", setup: "create table users (id bigserial primary key, name text, code bigserial); alter table users alter code drop not null;",
			change: written(t, `expand {
				create_index "users_code_key" {
					table   = "users"
					columns = ["code"]
					unique  = true
				}
				set_not_null "users" "code" {}
			}
			contract {
				sql "key" {
					up = "ALTER TABLE users DROP CONSTRAINT users_pkey, ADD CONSTRAINT users_code_key PRIMARY KEY USING INDEX users_code_key"
				}
			}`),
			end:    "create table users (id bigserial, name text, code bigserial constraint users_code_key primary key); alter table users alter id set not null",
			before: names, after: names,
		},
		{
			name: "drop a check", setup: checkedOrders, fill: ordersRows,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.DropConstraint{Table: orders, Name: "total_is_known", Definition: "CHECK (total >= 0)"},
			}},
			end:    ordersTables,
			before: ordering, after: ordering,
		},
		{
			name: "drop a foreign key", setup: belongingOrders, fill: ordersRows,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.DropConstraint{Table: orders, Name: "orders_user_id_fkey", Definition: "FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE"},
			}},
			end:    ordersTables,
			before: ordering, after: ordering,
		},
		{
			name: "drop constraints in contract", setup: belongingOrders + checkedAgain + "alter table orders add constraint told_apart unique (id, total);", fill: ordersRows,
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.DropConstraint{Table: orders, Name: "orders_user_id_fkey"},
				&spec.DropConstraint{Table: orders, Name: "total_is_known"},
				&spec.DropConstraint{Table: orders, Name: "told_apart"},
			}}},
			end:    ordersTables,
			before: ordering, after: ordering,
		},
		{
			name: "rename constraints", setup: belongingOrders + checkedAgain + "alter table orders add constraint told_apart unique (id, total);", fill: ordersRows,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.RenameConstraint{Table: orders, Name: "orders_user_id_fkey", To: "of_a_user"},
				&spec.RenameConstraint{Table: orders, Name: "total_is_known", To: "known"},
				&spec.RenameConstraint{Table: orders, Name: "told_apart", To: "apart"},
				&spec.RenameConstraint{Table: orders, Name: "orders_pkey", To: "the_key"},
			}},
			end: `create table users (id bigserial primary key, name text not null);
				create table orders (id bigserial constraint the_key primary key, user_id bigint, total int);
				alter table orders add constraint of_a_user foreign key (user_id) references users on delete cascade;
				alter table orders add constraint known check (total >= 0); alter table orders add constraint apart unique (id, total)`,
			before: ordering, after: ordering,
		},
		{
			name: "add an exclusion constraint", setup: bookings, fill: bookingRows,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.AddExclusion{Table: booked, Name: "one_at_a_time", Method: "gist", Elements: []string{"during WITH &&"}, Where: "not cancelled"},
			}},
			end:    bookings + "alter table bookings add constraint one_at_a_time exclude using gist (during with &&) where (not cancelled)",
			before: booking, after: booking,
		},
		{
			name: "enforce an exclusion constraint", setup: bookings, fill: bookingRows,
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.AddExclusion{Table: booked, Name: "one_at_a_time", Method: "gist", Elements: []string{"during WITH &&"}, Deferral: spec.Deferral{Deferrable: true}},
			}}},
			end:    bookings + "alter table bookings add constraint one_at_a_time exclude using gist (during with &&) deferrable",
			before: booking, after: booking,
		},
		{
			name: "index with all arguments", setup: usersTable,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.CreateIndex{Name: "by_name", Table: users, Columns: []string{"name text_pattern_ops", "id DESC NULLS LAST"},
					Include: []string{"id"}, With: map[string]string{"fillfactor": "70"}},
			}},
			end:    usersTable + "create index by_name on users (name text_pattern_ops, id desc nulls last) include (id) with (fillfactor = 70)",
			before: names, after: names,
		},
		{
			name: "index of a partitioned table", setup: partitionedTables, fill: "insert into events (id, kind) select i, i % 7 from generate_series(1, 2000) i",
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.CreateIndex{Name: "by_kind", Table: spec.ParseTable("events"), Columns: []string{"kind"}},
			}},
			end:    partitionedTables + "create index by_kind on events (kind)",
			before: happening, after: happening,
		},
	}
}

// What there is before a constraint is dropped.
const (
	checkedAgain    = "alter table orders add constraint total_is_known check (total >= 0);"
	checkedOrders   = ordersTables + checkedAgain
	belongingOrders = ordersTables + "alter table orders add foreign key (user_id) references users on delete cascade;"
)

var booked = spec.ParseTable("bookings")

// bookings is a table of which no two rows are about the same time.
const (
	bookings    = "create table bookings (id int primary key, during int4range, cancelled bool default false);"
	bookingRows = "insert into bookings select i, int4range(i, i + 1) from generate_series(1, 2000) i"
)

var booking = shape{
	read:   "select during from bookings where id = $1",
	writes: []string{"update bookings set during = int4range(id, id + 1) where id = $1", "insert into bookings (id, during) values ($1, int4range($1, $1 + 1)) on conflict (id) do nothing"},
}

const partitionedTables = `create table events (id int, kind int) partition by range (id);
	create table events_old partition of events for values from (0) to (1000);
	create table events_rest partition of events default;`

var happening = shape{
	read:   "select kind from events where id = $1",
	writes: []string{"update events set kind = kind + 1 where id = $1", "insert into events (id, kind) values ($1, 3)"},
}
