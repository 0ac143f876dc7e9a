package planner_test

import (
	"strings"
	"testing"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// surrounded is a plan of one step on the table users, and a state in which
// nothing is in its way.
func surrounded(s planner.Step) (*planner.Plan, *planner.State) {
	free, disk := 50, int64(100<<30)
	s.Table = "users"
	return &planner.Plan{Kind: "apply", Steps: []planner.Step{s}}, &planner.State{Databases: map[string]*planner.Database{"main": {
		Name:    "shop",
		Catalog: &migrations.Catalog{Tables: map[string]*migrations.Table{"users": {Rows: 12_000_000, Bytes: 1_200_000_000}}},
		Circumstances: &planner.Circumstances{
			Version: 15_00_08, User: "pleat_apply", Role: "app_owner", Becomes: true,
			Schemas:     map[string]bool{"public": true, "pleat": true},
			Tables:      map[string]planner.TableCircumstance{"users": {Owner: "app_owner", Owned: true, Written: true, Identified: true}},
			Connections: &free, Disk: &disk,
		},
	}}}
}

func TestObstacles(t *testing.T) {
	users := spec.ParseTable("users")
	expand := planner.Step{Kind: planner.KindExpand, Title: "users.first", Lock: migrations.AccessExclusive, Action: &planner.Transaction{Database: "main", Table: users, Unit: "expand.users"}}
	create := planner.Step{Kind: planner.KindExpand, Title: "table items", Action: &planner.Transaction{Database: "main", Unit: "create.shop.items"}}
	sync := planner.Step{Kind: planner.KindSync, Title: "users", Action: &planner.Transaction{Database: "main", Table: users, Unit: "sync.users"}}
	fill := planner.Step{Kind: planner.KindBackfill, Title: "users rows", Action: &planner.Backfill{Database: "main", Table: users}}
	index := planner.Step{Kind: planner.KindExpand, Title: "index", Action: &planner.BuildIndex{Database: "main", Table: users}}
	view := planner.Step{Kind: planner.KindExpand, Title: "view of users", Action: &planner.Transaction{Database: "main", Table: spec.Table{Schema: "pleat_c", Name: "users"}, Unit: "view.pleat_c.users"}}
	may, mayNot := true, false
	drop := planner.Step{Kind: planner.KindContract, Title: "drop users.name", Drops: []string{"users.name"}, Action: &planner.Transaction{Database: "main", Table: users, Unit: "drop.users"}}
	hide := planner.Step{Kind: planner.KindContract, Title: "hide users.name", Action: &planner.Transaction{Database: "main", Table: users, Unit: "hide.users", SQL: []string{`ALTER TABLE "public"."users" RENAME COLUMN "name" TO "pleat_hidden_name"`}}}
	type around = *planner.Circumstances
	type table = *planner.TableCircumstance
	tests := []struct {
		name string
		step planner.Step
		make func(c around, t table, m *migrations.Table)
		want string // code; "" = none
		text string
		do   string
	}{
		{"all is well", expand, func(around, table, *migrations.Table) {}, "", "", ""},
		{"all is well with a back-fill", fill, func(around, table, *migrations.Table) {}, "", "", ""},
		{"server of 12", expand, func(c around, _ table, _ *migrations.Table) { c.Version = 12_00_20 }, "old_server", "PostgreSQL 12", "13"},
		{"role not granted", expand, func(c around, _ table, _ *migrations.Table) { c.Becomes = false }, "missing_right", "pleat_apply may not become the role app_owner", `GRANT "app_owner" TO "pleat_apply"`},
		{"not the owner", expand, func(_ around, t table, _ *migrations.Table) { t.Owned, t.Owner = false, "dba" }, "missing_right", "app_owner may not change users, which belongs to dba (step 1 expand users.first)", "own it"},
		{"not the owner, index", index, func(_ around, t table, _ *migrations.Table) { t.Owned = false }, "missing_right", "may not change users", ""},
		{"not the owner, but a back-fill", fill, func(_ around, t table, _ *migrations.Table) { t.Owned = false }, "", "", ""},
		{"may not write", fill, func(_ around, t table, _ *migrations.Table) { t.Written = false }, "missing_right", "read and write users", `GRANT SELECT, UPDATE ON "public"."users" TO "app_owner"`},
		{"rows that policies hide", fill, func(_ around, t table, _ *migrations.Table) { t.Policed = true }, "missing_right", "app_owner may not see all rows of users, whose row security binds it", `ALTER ROLE "app_owner" BYPASSRLS;`},
		{"no schema", create, func(c around, _ table, _ *migrations.Table) { c.Schemas["shop"] = false }, "missing_right", "make anything in the schema shop", `GRANT USAGE, CREATE ON SCHEMA "shop"`},
		{"a schema of which nothing is known", create, func(around, table, *migrations.Table) {}, "", "", ""},
		{"no index there", index, func(c around, _ table, _ *migrations.Table) { c.Schemas["public"] = false }, "missing_right", "schema public", ""},
		{"no functions in pleat", sync, func(c around, _ table, _ *migrations.Table) { c.Schemas["pleat"] = false }, "missing_right", "schema pleat", `GRANT USAGE, CREATE ON SCHEMA "pleat" TO "app_owner"`},
		{"no schema for a view", view, func(c around, _ table, _ *migrations.Table) { c.Creates = &mayNot }, "missing_right", "app_owner may not make the schema pleat_c of the view (step 1 expand view of users)", `GRANT CREATE ON DATABASE "shop" TO "app_owner";`},
		{"a schema for a view", view, func(c around, _ table, _ *migrations.Table) { c.Creates, c.Installs = &may, &may }, "", "", ""},
		{"no schema pleat", expand, func(c around, _ table, _ *migrations.Table) { c.Creates, c.Installs = &mayNot, &mayNot }, "missing_right", "pleat_apply may not make the schema pleat", `GRANT CREATE ON DATABASE "shop" TO "pleat_apply";`},
		{"no connections", expand, func(c around, _ table, _ *migrations.Table) { *c.Connections = 2 }, "no_connections", "2 connections left", "max_connections"},
		{"no room for a back-fill", fill, func(c around, _ table, _ *migrations.Table) { *c.Disk = 2 << 30 }, "no_space", "2.1 GB are free on the server's disk, and the steps need about 2.6 GB", "make room"},
		{"no room for an index", index, func(c around, _ table, _ *migrations.Table) { *c.Disk = 900_000_000 }, "no_space", "need about 960 MB", ""},
		{"no room, and nothing to write", expand, func(c around, _ table, _ *migrations.Table) { *c.Disk = 1 }, "", "", ""},
		{"room unknown", fill, func(c around, _ table, _ *migrations.Table) { c.Disk = nil }, "", "", ""},
		{"a slot that nobody reads", fill, func(c around, _ table, _ *migrations.Table) { c.Slots = []planner.Slot{{Name: "old", Held: 5e9}} }, "inactive_slot", "replication slot old, which would keep about 1.3 GB of WAL that the steps write, beside the 5 GB", "pg_drop_replication_slot('old')"},
		{"a slot, limited", fill, func(c around, _ table, _ *migrations.Table) {
			c.Slots, c.SlotsLimited = []planner.Slot{{Name: "old"}}, true
		}, "", "", ""},
		{"a slot that is lost with it", fill, func(c around, _ table, _ *migrations.Table) {
			c.Slots, c.SlotsLimited = []planner.Slot{{Name: "near", Active: true, Safe: left(1 << 30)}}, true
		}, "slot_behind", "replication slot near is lost when 1.1 GB more are written than its reader has taken, and the steps write about 1.3 GB", "max_slot_wal_keep_size"},
		{"a slot with room", fill, func(c around, _ table, _ *migrations.Table) {
			c.Slots, c.SlotsLimited = []planner.Slot{{Name: "near", Safe: left(2 << 30)}}, true
		}, "", "", ""},
		{"a slot that is read", fill, func(c around, _ table, _ *migrations.Table) { c.Slots = []planner.Slot{{Name: "read", Active: true}} }, "", "", ""},
		{"a slot, and little to write", expand, func(c around, _ table, _ *migrations.Table) { c.Slots = []planner.Slot{{Name: "old"}} }, "", "", ""},
		{"no replica identity", fill, func(_ around, t table, m *migrations.Table) { t.Identified, m.Publications = false, []string{"p"} }, "replica_identity", "users is published by p and has no replica identity", `ALTER TABLE "public"."users" REPLICA IDENTITY FULL`},
		{"published", expand, func(_ around, _ table, m *migrations.Table) { m.Publications = []string{"p"} }, "published_table", "p publishes users with all its columns", "subscribers first"},
		{"published in part", expand, func(_ around, t table, m *migrations.Table) {
			m.Publications, t.Listed = []string{"p"}, map[string][]string{"p": {"id"}}
		}, "", "", ""},
		{"a listed column goes", drop, func(_ around, t table, m *migrations.Table) {
			m.Publications, t.Listed = []string{"p"}, map[string][]string{"p": {"id", "pleat_hidden_name"}}
		}, "publication_column", "the publication p lists users.pleat_hidden_name", "ALTER PUBLICATION"},
		{"a listed column is hidden", hide, func(_ around, t table, m *migrations.Table) {
			m.Publications, t.Listed = []string{"p"}, map[string][]string{"p": {"id", "name"}}
		}, "publication_column", "the publication p lists users.name: from step 1 on it publishes it by another name", `ALTER PUBLICATION "p"`},
		{"a column that rows are chosen by goes", drop, func(_ around, t table, m *migrations.Table) {
			m.Publications, t.Filtered = []string{"p"}, map[string][]string{"p": {"name"}}
		}, "publication_column", "the publication p chooses rows by users.name: the server refuses its drop", "with another WHERE"},
		{"another column is hidden", hide, func(_ around, t table, m *migrations.Table) {
			m.Publications, t.Listed = []string{"p"}, map[string][]string{"p": {"id", "nam"}}
		}, "", "", ""},
		{"written by a subscription", sync, func(_ around, t table, _ *migrations.Table) { t.Subscribed = true }, "subscribed_table", "a subscription writes users", ""},
		{"inherited from", sync, func(_ around, _ table, m *migrations.Table) { m.Children = []string{"admins"} }, "inherited_table", "admins inherit from users", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, st := surrounded(test.step)
			db := st.Databases["main"]
			around := db.Circumstances.Tables["users"]
			test.make(db.Circumstances, &around, db.Catalog.Tables["users"])
			db.Circumstances.Tables["users"] = around
			got := planner.Obstacles(p, st)
			if test.want == "" && len(got) > 0 {
				t.Fatalf("%+v, want nothing", got)
			}
			if test.want == "" {
				return
			}
			if len(got) != 1 || got[0].Code != test.want || !strings.Contains(got[0].Text, test.text) || !strings.Contains(got[0].Do, test.do) {
				t.Errorf("%+v, want %s: %s (%s)", got, test.want, test.text, test.do)
			}
			p.Steps[0].Deferred = "later"
			if got := planner.Obstacles(p, st); len(got) > 0 {
				t.Errorf("for a step that does not run now: %+v", got)
			}
		})
	}
}

// Going back is not refused for what might happen.
func TestObstaclesOfAWayBack(t *testing.T) {
	fill := planner.Step{Kind: planner.KindBackfill, Title: "users rows", Action: &planner.Backfill{Database: "main", Table: spec.ParseTable("users")}}
	p, st := surrounded(fill)
	p.Kind = "rollback"
	c := st.Databases["main"].Circumstances
	*c.Disk, *c.Connections = 1, 0
	if got := planner.Obstacles(p, st); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	c.Becomes = false
	if got := planner.Obstacles(p, st); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func left(n int64) *int64 { return &n }
