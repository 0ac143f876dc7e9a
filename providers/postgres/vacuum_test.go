package postgres_test

import (
	"strings"
	"testing"
	"time"

	"pleat/providers/postgres/pgtest"
)

// An autovacuum that works on the table for long makes way, although nobody
// waits behind a step as long as it takes to end one.
func TestAutovacuumMakesWay(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	server.Exec(t, "alter system set autovacuum_naptime = '1s'")
	server.Exec(t, "select pg_reload_conf()")
	w := worldAt(t, server.Database(t), usersTable+`
		insert into users (name) select repeat('x', 500) from generate_series(1, 20000);
		delete from users where id % 2 = 0;
		alter table users set (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
		  autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_cost_delay = 100)`)
	eventually(t, "the table is vacuumed", func() bool {
		return w.value("select count(*)::text from pg_stat_progress_vacuum where relid = 'users'::regclass") == "1"
	})
	w.db.Lock.Patience = 15 * time.Second
	if err := w.try(t.Context(), w.step(addNote())); err != nil {
		t.Fatal(err)
	}
}

// What a person does to a table that holds a vacuum's lock is waited for as
// anything else, and nobody is told that it makes way.
func TestAPersonsMaintenanceIsNotAskedToLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	w.db.Lock.Patience = 300 * time.Millisecond
	person := w.as("psql")
	begin(t, person, "lock table users in access share mode; lock table users in share update exclusive mode")
	r := &recorder{}
	err := w.provider.Apply(t.Context(), w.ticket, w.step(addNote()), r.report)
	if err == nil || !strings.Contains(err.Error(), "blocked by pid") {
		t.Errorf("got %v", err)
	}
	for _, said := range r.waits() {
		if strings.Contains(said, "autovacuum") {
			t.Errorf("said: %s", said)
		}
	}
	if len(r.waits()) == 0 {
		t.Error("nothing was said of the wait")
	}
}
