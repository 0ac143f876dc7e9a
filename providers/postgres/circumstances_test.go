package postgres_test

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

func (w *world) around(tables ...string) *planner.Circumstances {
	w.Helper()
	var scope postgres.Scope
	for _, name := range tables {
		scope.Tables = append(scope.Tables, spec.ParseTable(name))
	}
	db, err := w.provider.Observe(w.Context(), scope)
	if err != nil {
		w.Fatal(err)
	}
	return db.Circumstances
}

func TestCircumstancesOfASuperuser(t *testing.T) {
	w := newWorld(t, usersTable+"create schema shop; create table shop.items (id int, note text)")
	listed, columns := map[string][]string{"part": {"id"}}, "(id)"
	filtered, where := map[string][]string{"part": {"name"}}, " where (name <> '')"
	if pgtest.Version(t, w.admin) < 15 { // a publication has whole tables
		listed, columns, filtered, where = nil, "", nil, ""
	}
	w.exec(`
		create publication part for table shop.items ` + columns + `, users` + where + `;
		create subscription sub connection 'dbname=none' publication p with (connect = false, enabled = false, slot_name = none, create_slot = false);
		insert into pg_subscription_rel select oid, 'users'::regclass, 'r', null from pg_subscription where subname = 'sub'`)
	t.Cleanup(func() { pgtest.Exec(t, w.url, "drop subscription sub") })
	got := w.around("users", "shop.items", "nowhere")
	want := map[string]planner.TableCircumstance{
		"users":      {Owner: "postgres", Owned: true, Written: true, Identified: true, Subscribed: true, Filtered: filtered},
		"shop.items": {Owner: "postgres", Owned: true, Written: true, Listed: listed},
	}
	if !reflect.DeepEqual(got.Tables, want) {
		t.Errorf("tables %+v, want %+v", got.Tables, want)
	}
	if got.Creates == nil || !*got.Creates || got.Installs == nil || !*got.Installs {
		t.Errorf("a superuser may make schemas: %v, %v", got.Creates, got.Installs)
	}
	if want := map[string]bool{"public": true, "shop": true, "pleat": true}; !reflect.DeepEqual(got.Schemas, want) {
		t.Errorf("schemas %v, want %v", got.Schemas, want)
	}
	if got.Version < 13_00_00 || got.User != "postgres" || got.Role != "postgres" || !got.Becomes || *got.Connections < 50 || len(got.Unseen) > 0 {
		t.Errorf("%+v", got)
	}
	if got.Disk != nil {
		t.Errorf("over TCP nothing is known of the server's disk: %d", *got.Disk)
	}
	w.db.FreeDisk = "select 12345; -- bytes"
	if got := w.around(); got.Disk == nil || *got.Disk != 12345 {
		t.Errorf("asked by the author's query: %+v", got)
	}
	w.db.FreeDisk = "select free from nowhere"
	if got := w.around("users"); got.Disk != nil || len(got.Tables) != 1 || len(got.Unseen) != 1 || !strings.HasPrefix(got.Unseen[0], "free disk cannot be read: ERROR: relation") {
		t.Errorf("a query that fails: %+v", got)
	}
}

func TestFreeDiskIsSeenOverTheUnixSocket(t *testing.T) {
	server := pgtest.New(t)
	if server.Socket() == "" {
		t.Skip("the server was not started here")
	}
	u, err := url.Parse(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	db := &spec.Database{Name: "main", URL: spec.Secret("test", fmt.Sprintf("host=%s port=%s user=postgres dbname=%s", server.Socket(), u.Port(), u.Path[1:]))}
	seen, err := postgres.New(db, nil).Observe(t.Context(), postgres.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	if free := seen.Circumstances.Disk; free == nil || *free < 1<<20 {
		t.Errorf("free disk %v", free)
	}
}

// Each right that is not there is seen, and what the role cannot see is said.
func TestCircumstancesOfARoleWithoutRights(t *testing.T) {
	w := newWorld(t, usersTable+"create schema shop; create table shop.items (id int)")
	limited(w)
	if got := w.around("users"); !got.Becomes || !got.Tables["users"].Owned || !got.Schemas["public"] || !got.Schemas["pleat"] || got.Role != "pleat_test_owner" {
		t.Errorf("with all rights: %+v", got)
	}
	w.exec("grant select on shop.items to pleat_test_owner; alter table users owner to postgres; alter schema pleat owner to postgres; grant usage on schema pleat to pleat_test_apply; revoke all on schema public from public, pleat_test_owner")
	got := w.around("users", "shop.items")
	if got.Tables["users"].Owned || got.Tables["users"].Written || got.Tables["users"].Owner != "postgres" || got.Tables["shop.items"].Written {
		t.Errorf("tables: %+v", got.Tables)
	}
	if got.Schemas["public"] || got.Schemas["shop"] || got.Schemas["pleat"] {
		t.Errorf("schemas: %+v", got.Schemas)
	}
	if *got.Creates || !*got.Installs {
		t.Errorf("schemas in the database: %t, pleat: %t", *got.Creates, *got.Installs)
	}
	if len(got.Unseen) != 1 || !strings.Contains(got.Unseen[0], `GRANT pg_read_all_stats TO "pleat_test_apply"`) {
		t.Errorf("unseen: %q", got.Unseen)
	}
	w.db.Role = "nobody_is_called_so"
	if got := w.around("users"); got.Becomes {
		t.Errorf("a role that is not there: %+v", got)
	}
}

func TestSlotsThatNobodyReadsAreSeen(t *testing.T) {
	w := newWorld(t, "select pg_create_physical_replication_slot('pleat_test_slot', true)")
	t.Cleanup(func() { pgtest.Exec(t, w.url, "select pg_drop_replication_slot('pleat_test_slot')") })
	got := w.around()
	if len(got.Slots) != 1 || got.Slots[0].Name != "pleat_test_slot" || got.SlotsLimited {
		t.Errorf("%+v, limited %t", got.Slots, got.SlotsLimited)
	}
}

// With a limit the server says how much may be written before a slot is lost.
func TestSlotsThatMayBeLostAreSeen(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	pgtest.Exec(t, server.URL("postgres"), "alter system set max_slot_wal_keep_size = '64MB'")
	pgtest.Exec(t, server.URL("postgres"), "select pg_reload_conf()")
	w := worldAt(t, server.URL("postgres"), "select pg_create_physical_replication_slot('near', true)")
	var got *planner.Circumstances
	eventually(t, "the limit holds", func() bool { got = w.around(); return got.SlotsLimited })
	if len(got.Slots) != 1 || got.Slots[0].Safe == nil || *got.Slots[0].Safe < 16<<20 || *got.Slots[0].Safe > 128<<20 {
		t.Errorf("%+v", got.Slots)
	}
}

func TestOpenTransactionsAreSeenWithWhatTheyHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"create table other (id int)")
	begin(t, w.as("reports@1.0/web.1"), "set transaction isolation level repeatable read; select 1 from users")
	var got []planner.OpenTransaction
	eventually(t, "the transaction is old", func() bool {
		got = w.around("users", "other").Transactions
		return len(got) > 0
	})
	o := got[0]
	if len(got) != 1 || o.Application != "reports@1.0/web.1" || o.State != "idle in transaction" || !o.Snapshot || !reflect.DeepEqual(o.Tables, []string{"users"}) {
		t.Errorf("%+v", got)
	}
}
