package postgres_test

import "pleat/spec"

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

func constraintOperations() []operation {
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
	}
}
