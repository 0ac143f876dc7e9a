package postgres_test

import (
	"strings"
	"testing"
	"time"

	"pleat/planner"
)

func TestQuietGoesByWhatTheAuthorAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
		create table access_log (at timestamptz, path text);
		insert into access_log values (now() - interval '2 minutes', '/v1/users'), (now(), '/v2/users');
		create table empty (at timestamptz)`)
	const v1 = "select max(at) from access_log where path like '/v1/%'"
	tests := []struct {
		name, sql string
		soak      time.Duration
		reason    string // "" = met
	}{
		{"seen a moment ago", v1, time.Hour, "quiet v1: last seen 20"},
		{"long enough ago", v1, time.Minute, ""},
		{"a question with a semicolon and a comment", v1 + "; -- v1", time.Minute, ""},
		{"seen in the future", "select now() + interval '1 hour'", 0, "quiet v1: last seen 20"},
		{"nothing at all says nothing", "select max(at) from empty", 0, "gives no time"},
		{"no row says nothing", "select at from empty", 0, "gives no time"},
		{"never", "select coalesce(max(at), '-infinity') from empty", time.Hour, ""},
		{"always", "select 'infinity'::timestamptz", 0, "gives no time"},
		{"very long ago", "select '0001-01-01'::timestamptz", time.Hour, ""},
		{"no such table", "select max(at) from acess_log", 0, `quiet v1 cannot be asked: ERROR: relation "acess_log" does not exist`},
		{"several rows", "select at from access_log", 0, "more than one row"},
		{"several columns", "select at, path from access_log limit 1", 0, "cannot be asked"},
		{"no time", "select path from access_log limit 1", 0, "cannot be asked"},
		{"a write", "with w as (delete from access_log returning at) select max(at) from w", 0, "cannot be asked"},
	}
	for _, test := range tests {
		answer := w.ask(&planner.Quiet{Name: "v1", SQL: test.sql, For: test.soak})
		if answer.Met != (test.reason == "") || !strings.Contains(answer.Reason, test.reason) {
			t.Errorf("%s: %+v, want %q", test.name, answer, test.reason)
		}
	}
	first := w.ask(&planner.Quiet{Name: "v1", SQL: v1, For: time.Hour})
	again := w.ask(&planner.Quiet{Name: "v1", SQL: v1, For: time.Hour})
	if first.Reason != again.Reason || again.Recheck >= first.Recheck || first.Recheck < 50*time.Minute {
		t.Errorf("the reason is told again when it changes: %+v, then %+v", first, again)
	}
}

func TestQuietIsAskedAsTheRoleAndNamesTheRightThatLacks(t *testing.T) {
	w := newWorld(t, "create table access_log (at timestamptz); insert into access_log values (now() - interval '1 day')")
	limited(w)
	g := &planner.Quiet{Name: "v1", SQL: "select max(at) from access_log", For: time.Minute}
	if answer := w.ask(g); !answer.Met {
		t.Errorf("as the owner: %+v", answer)
	}
	w.exec("alter table access_log owner to postgres")
	if answer := w.ask(g); answer.Met || !strings.Contains(answer.Reason, `GRANT SELECT, INSERT, UPDATE, DELETE ON "access_log" TO "pleat_test_owner"`) {
		t.Errorf("without the right: %+v", answer)
	}
}
