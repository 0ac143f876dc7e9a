package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
)

// open transactions that hold a lock on users although nobody works in them.
const leaks = `select count(*) from pg_stat_activity a join pg_locks l using (pid)
	where a.state = 'idle in transaction' and l.relation = 'users'::regclass and l.mode = 'AccessShareLock'`

func TestLeaksTransactionsOnReads(t *testing.T) {
	tests := []struct {
		version string
		phase   migrations.Phase
		want    int
	}{
		{"1.0.0", before, leaked}, {"1.0.1", before, 0}, {"2.0.0", expanded, leaked}, {"2.0.2", backfilled, 0},
	}
	for _, test := range tests {
		t.Run(test.version, func(t *testing.T) {
			url := inPhase(t, test.phase)
			at := service(t, test.version, url)
			for range 20 {
				exchange[[]user](t, "GET", at+"/users", nil)
				exchange[user](t, "GET", at+"/user?id=1", nil)
			}
			ask(t, "GET", at+"/user?id=999999", "")
			exchange[user](t, "PATCH", at+"/user", user{ID: 1, Name: "changed"})
			if got := pgtest.Value[int](t, pgtest.Connect(t, url), leaks); got != test.want {
				t.Errorf("%d transactions are left open, want %d", got, test.want)
			}
			if got := exchange[user](t, "GET", at+"/user?id=1", nil); got.Name != "changed" {
				t.Errorf("an open transaction reads %q, want what was written since", got.Name)
			}
		})
	}
}

func TestLeakSurvivesTheEndOfItsConnections(t *testing.T) {
	url := inPhase(t, before)
	at := service(t, "1.0.0", url)
	for range leaked {
		exchange[user](t, "GET", at+"/user?id=1", nil)
	}
	pgtest.Exec(t, url, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'")
	until(t, func() error {
		if status, body := ask(t, "GET", at+"/user?id=1", ""); status != http.StatusOK {
			return fmt.Errorf("status %d: %s", status, body)
		}
		return nil
	})
}

func TestSchemaChangesBreakNoStatement(t *testing.T) {
	url := inPhase(t, before)
	at := service(t, "1.0.1", url)
	for i, ddl := range []string{
		"select 1",
		"alter table users alter name type varchar(100)",
		"alter table users add more text",
		"alter table users alter name type text",
	} {
		pgtest.Exec(t, url, ddl)
		for range maxConns {
			if status, body := ask(t, "GET", at+"/user?id=1", ""); status != http.StatusOK {
				t.Fatalf("after change %d: status %d: %s", i, status, body)
			}
		}
	}
}

func TestHealthzNeedsTheDatabase(t *testing.T) {
	if status, _ := ask(t, "GET", service(t, "1.0.1", inPhase(t, before))+"/healthz", ""); status != http.StatusOK {
		t.Errorf("with a database: status %d", status)
	}
	if status, _ := ask(t, "GET", service(t, "1.0.1", "postgres://nobody@127.0.0.1:1/none")+"/healthz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("without a database: status %d, want 503", status)
	}
	if status, _ := ask(t, "GET", service(t, "2.0.4", inPhase(t, backfilled))+"/healthz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("2.0.4: status %d, want 503 for ever", status)
	}
}

func TestSaysNoPassword(t *testing.T) {
	_, err := open(context.Background(), "postgres://u:hunter2@[::1/x", false)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error is %v", err)
	}
}

// until tries again until f is content or ten seconds are over.
func until(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err := f(); err != nil; err = f() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}
