package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
)

// evicting is a step that may end idle sessions of users 1.0.0.
func (w *world) evicting(idle time.Duration) planner.Step {
	s := w.step(addNote())
	s.Limits.Evict = &planner.Eviction{Releases: []string{"users@1.0.0"}, Idle: idle}
	return s
}

func alive(w *world, application string) bool {
	w.Helper()
	return w.value("select count(*)::text from pg_stat_activity where application_name = $1", application) != "0"
}

func TestAStepEndsIdleSessionsOfTheReleasesNamed(t *testing.T) {
	w := newWorld(t, usersTable)
	begin(t, w.as("users@1.0.0/web.1"), "select 1 from users")
	start := time.Now()
	if err := w.try(t.Context(), w.evicting(200*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("it did not wait until the session had been idle for long enough: %s", took)
	}
	if len(w.watch.ended) != 1 {
		t.Fatalf("ended %+v, want one", w.watch.ended)
	}
	got := w.watch.ended[0]
	if got.Application != "users@1.0.0/web.1" || got.Service != "users" || got.Release != "1.0.0" || got.PID == 0 || got.Idle < 200*time.Millisecond || got.Table != "users" {
		t.Errorf("reported %+v", got)
	}
	if alive(w, "users@1.0.0/web.1") {
		t.Error("the session lives")
	}
}

func TestAStepEndsNobodyElse(t *testing.T) {
	tests := []struct {
		name, application string
		hold              func(t *testing.T, w *world, c *pgx.Conn)
		idle              time.Duration
		allowed           bool
	}{
		{"another release", "users@1.0.1/web.1", idle, 0, true},
		{"another service", "billing@1.0.0/web.1", idle, 0, true},
		{"no release at all", "psql", idle, 0, true},
		{"a name that only begins like it", "users@1.0.0x/web.1", idle, 0, true},
		{"not idle for long enough", "users@1.0.0/web.1", idle, time.Hour, true},
		{"a session that works", "users@1.0.0/web.1", busy, 0, true},
		{"without leave", "users@1.0.0/web.1", idle, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, usersTable)
			w.db.Lock.Patience = 400 * time.Millisecond
			test.hold(t, w, w.as(test.application))
			s := w.evicting(test.idle)
			if !test.allowed {
				s.Limits.Evict = nil
			}
			var budget *postgres.LockBudgetError
			if err := w.try(t.Context(), s); !errors.As(err, &budget) {
				t.Errorf("got %v, want a *LockBudgetError", err)
			}
			if !alive(w, test.application) || len(w.watch.ended) > 0 {
				t.Errorf("it was ended: %+v", w.watch.ended)
			}
		})
	}
}

func idle(t *testing.T, _ *world, c *pgx.Conn) { begin(t, c, "select 1 from users") }

// busy runs a statement for as long as the test does.
func busy(t *testing.T, w *world, c *pgx.Conn) {
	t.Helper()
	begin(t, c, "select 1 from users")
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = c.Exec(t.Context(), "select pg_sleep(60)") // is cancelled with the test
	}()
	t.Cleanup(func() { <-over })
	pid := int32(c.PgConn().PID())
	eventually(t, "it works", func() bool {
		return w.value("select count(*)::text from pg_stat_activity where pid = $1 and state = 'active'", pid) == "1"
	})
}

const asked = "select max(query_start)::text from pg_stat_activity where application_name = 'pleat/r1' and datname = current_database()"

// A role that may not end sessions says so once, and waits.
func TestARoleThatMayNotEndSessionsSaysWhichRightItLacks(t *testing.T) {
	w := newWorld(t, usersTable)
	limited(w)
	w.exec("alter role pleat_test_apply inherit; grant pg_read_all_stats to pleat_test_apply")
	t.Cleanup(func() {
		pgtest.Exec(t, w.url, "revoke pg_read_all_stats from pleat_test_apply; alter role pleat_test_apply noinherit")
	})
	holder := w.as("users@1.0.0/web.1")
	begin(t, holder, "select 1 from users")
	done := make(chan error, 1)
	step := w.evicting(0)
	go func() { done <- w.try(t.Context(), step) }()
	eventually(t, "it says so", func() bool { return len(w.watch.warnings()) > 0 })
	for range 6 { // it asks twice each time that it looks
		last := w.value(asked)
		eventually(t, "it looks again", func() bool { return w.value(asked) != last })
	}
	if !alive(w, "users@1.0.0/web.1") {
		t.Error("the session was ended")
	}
	if _, err := holder.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("it did not wait: %v", err)
	}
	if got := w.watch.warnings(); len(got) != 1 || !strings.Contains(got[0], `GRANT pg_signal_backend TO "pleat_test_apply"`) {
		t.Errorf("warned %q", got)
	}
}

// The report says who was kept by the step, beside who keeps it.
func TestTheReportSaysWhoStoodBehindTheStep(t *testing.T) {
	w := newWorld(t, usersTable)
	limited(w) // the step does not see that the holder is old, and asks
	w.db.Lock.Patience = 3 * time.Second
	begin(t, w.as("users@1.0.0/web.1"), "select 1 from users")
	reader := w.as("reports@7/web.1")
	done := make(chan error, 1)
	go func() { done <- w.try(t.Context(), w.step(addNote())) }()
	var err error
	for over := false; !over; {
		select {
		case err = <-done:
			over = true
		default:
			if _, err := reader.Exec(t.Context(), "select 1 from users"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.Contains(err.Error(), "1 session stood behind it, for 100ms at most: reports@7/web.1") {
		t.Errorf("%v", err)
	}
}
