package hazard_test

import (
	"testing"

	"pleat/migrations/hazard"
)

func TestUses(t *testing.T) {
	name := hazard.Target{Schema: "public", Table: "users", Columns: []string{"name"}}
	tests := []struct {
		sql  string
		want bool
	}{
		{"SELECT id, name FROM users WHERE id = $1", true},
		{"select u.name from users u", true},
		{"select u.name from users as u join orders o on o.user_id = u.id", true},
		{"select o.name from users u join orders o on o.user_id = u.id", false},
		{"select name from users u join orders o on o.user_id = u.id", true}, // of either
		{"select name from orders", false},
		{"select id, first from users", false},
		{"select first as name from users", false},
		{"select id from users where name = $1", true},
		{"select count(*) from users", false},
		{"select * from users", true},
		{"select u.* from users u", true},
		{"select o.* from orders o join users u on u.id = o.user_id", false},
		{"select row_to_json(u) from users u", true},
		{"select users from users", true},
		{"select id from public.users order by public.users.name", true},
		{"select name from shop.users", false},
		{`select "Name" from users`, false},
		{"select 'name' from users", false},
		{"select id /* name */ from users", false},
		{"select id from users join orders using (name)", true},
		{"select id from users natural join orders", true},
		{"with old as (select name from users) select 1 from old", true},
		{"select 1 where exists (select from users where name is null)", true},
		{"insert into users (name) values ($1)", true},
		{"insert into users (first) values ($1)", false},
		{"insert into users (first) values ($1) returning name", true},
		{"insert into users (first) values ($1) on conflict (name) do nothing", true},
		{"insert into users (first) values ($1) on conflict (id) do update set name = $2", true},
		{"insert into users values ($1, $2)", true},
		{"insert into orders (id) select id from users", false},
		{"insert into orders (name) select first from users", false},
		{"update users set name = $1 where id = $2", true},
		{"update users set first = $1 where id = $2", false},
		{"update orders set name = users.first from users where users.id = $1", false},
		{"delete from users where name = $1", true},
		{"delete from users where id = $1", false},
		{"merge into users u using new n on n.id = u.id when matched then update set name = n.x", true},
		{"copy users from stdin", true},
		{"copy users (id, first) to stdout", false},
		{"copy users (id, name) to stdout", true},
		{"copy (select name from users) to stdout", true},
		{"alter table users rename column name to old", false},
		{"create index on users (name)", false},
		{"vacuum users", false},
	}
	for _, test := range tests {
		got, err := hazard.Uses(test.sql, name)
		if err != nil || got != test.want {
			t.Errorf("%s: %t, %v, want %t", test.sql, got, err, test.want)
		}
	}
	if got, err := hazard.Uses("select id from users", hazard.Target{Schema: "public", Table: "users"}); !got || err != nil {
		t.Errorf("the table as a whole: %t, %v", got, err)
	}
	if _, err := hazard.Uses("select from from users", name); err == nil {
		t.Error("what cannot be read is no answer")
	}
}

func TestNames(t *testing.T) {
	name := hazard.Target{Schema: "public", Table: "users", Columns: []string{"name"}}
	tests := []struct {
		sql  string
		want bool
	}{
		{"select u.name from users u", true},
		{"select * from users", false},
		{"select *, name from users", true},
		{"select u.* from users u", false},
		{"select row_to_json(u) from users u", false},
		{"insert into users values ($1, $2)", false},
		{"insert into users values ($1, $2) returning name", true},
		{"insert into users (id, name) values ($1, $2)", true},
		{"update users set name = $1", true},
		{"copy users from stdin", false},
		{"copy users (name) from stdin", true},
	}
	for _, test := range tests {
		if got, err := hazard.Names(test.sql, name); err != nil || got != test.want {
			t.Errorf("Names(%q) = %v, %v, want %v", test.sql, got, err, test.want)
		}
	}
	table := hazard.Target{Schema: "public", Table: "users"}
	if got, err := hazard.Names("select * from users", table); err != nil || !got {
		t.Errorf("a table is named where all its columns are: %v, %v", got, err)
	}
}
