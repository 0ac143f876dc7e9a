package postgres_test

import (
	"strings"
	"testing"
	"time"

	"pleat/migrations"
	"pleat/planner"
)

func (w *world) ask(g planner.Guard) planner.Answer {
	w.Helper()
	answer, err := w.provider.Ask(w.Context(), w.ticket, g)
	if err != nil {
		w.Fatal(err)
	}
	return answer
}

func TestSessionsAreAskedByRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.as("users@1.0.0/web.1")
	w.as("users@1.0.0/web.2")
	w.as("users@2.0.0/web.1")
	w.as("reports@1.0.0/web.1")
	w.as("orders@" + strings.Repeat("9", 60) + "/web.1")
	w.as("me@work")
	cut := strings.Repeat("9", 56)
	tests := []struct {
		guard planner.NoSessions
		want  string
	}{
		{planner.NoSessions{Service: "users", Versions: []string{"1.0.0"}}, "2 sessions of users 1.0.0"},
		{planner.NoSessions{Service: "users", Except: []string{"1.0.0", "2.0.0"}}, ""},
		{planner.NoSessions{Service: "users", Except: []string{"2.0.0"}}, "2 sessions of users 1.0.0"},
		{planner.NoSessions{Service: "users"}, "2 sessions of users 1.0.0, 1 session of users 2.0.0"},
		{planner.NoSessions{Service: "users", Versions: []string{"1.0"}}, ""},
		{planner.NoSessions{Others: []string{"users", "orders"}}, "1 session of reports 1.0.0"},
		{planner.NoSessions{Others: []string{"users", "orders"}, Except: []string{"reports@1.0.0"}}, ""},
		{planner.NoSessions{Others: []string{"users", "reports", "orders"}}, ""},
		// Postgres kept too little of its name to tell which release it is.
		{planner.NoSessions{Service: "orders", Except: []string{"1.0.0"}}, "1 session of orders " + cut},
		{planner.NoSessions{Others: []string{"users", "reports"}}, "1 session of orders " + cut},
	}
	for _, test := range tests {
		answer := w.ask(&test.guard)
		if answer.Reason != test.want || answer.Met != (test.want == "") {
			t.Errorf("%+v: got %+v, want %q", test.guard, answer, test.want)
		}
	}
}

func TestSoakBeginsAnewInARunThatFindsAnOldRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	soak := &planner.Soak{Change: c.Name, For: time.Hour, Sequence: migrations.OldWritesSequence(c.Name)}
	w.ask(soak)
	w.exec("update pleat.change set quiet_since = quiet_since - interval '2 hours'")
	if answer := w.ask(soak); !answer.Met {
		t.Fatalf("two hours later: %+v", answer)
	}
	soak.Anew = true
	if answer := w.ask(soak); answer.Met {
		t.Error("time in which an old release was live counts")
	}
	w.exec("update pleat.change set quiet_since = quiet_since - interval '2 hours'")
	if answer := w.ask(soak); !answer.Met {
		t.Errorf("the same run began anew again: %+v", answer)
	}
}

func TestSoakBeginsAnewWhenAnOldSessionIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.ask(&planner.Soak{Change: c.Name, For: time.Hour, Sequence: migrations.OldWritesSequence(c.Name)})
	sessions := &planner.NoSessions{Service: "users", Except: []string{"2.0.0"}, Change: c.Name}
	if answer := w.ask(sessions); !answer.Met {
		t.Fatalf("%+v", answer)
	}
	if w.observe(c).Changes[c.Name].QuietSince == nil {
		t.Error("asking for sessions that are not there stopped the soak")
	}
	w.as("users@1.0.0/web.1")
	w.ask(sessions)
	if since := w.observe(c).Changes[c.Name].QuietSince; since != nil {
		t.Errorf("a session of an old release is open, and the soak counts on from %s", since)
	}
}

func TestSoakBeginsAnewWithEachWriteInTheOldShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) values ('Ada Lovelace')")
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	soak := &planner.Soak{Change: c.Name, For: time.Hour, Sequence: migrations.OldWritesSequence(c.Name)}
	if answer := w.ask(soak); answer.Met || answer.Recheck <= 59*time.Minute {
		t.Errorf("the first time: %+v", answer)
	}
	since := w.observe(c).Changes[c.Name].QuietSince
	if first, second := w.ask(soak), w.ask(soak); first.Reason != second.Reason || second.Recheck >= first.Recheck {
		t.Errorf("the reason is told again when it changes: %+v, then %+v", first, second)
	}
	if again := w.observe(c).Changes[c.Name].QuietSince; !again.Equal(*since) {
		t.Errorf("asking moved the clock from %s to %s", since, again)
	}
	w.exec("update pleat.change set quiet_since = now() - interval '2 hours'")
	if answer := w.ask(soak); !answer.Met {
		t.Errorf("after two quiet hours: %+v", answer)
	}
	w.exec("update users set name = 'Grace Hopper'")
	answer := w.ask(soak)
	if answer.Met || !strings.Contains(answer.Reason, "writes in the old shape since") {
		t.Errorf("after a write in the old shape: %+v", answer)
	}
	w.exec("update pleat.lease set fence = 2")
	if _, err := w.provider.Ask(t.Context(), w.ticket, soak); err == nil {
		t.Error("a holder of an old fence recorded a quiet time")
	}
}

func TestHiddenForCountsFromTheHiding(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	c := splitName()
	guard := &planner.HiddenFor{Change: c.Name, For: time.Hour}
	if answer := w.ask(guard); answer.Met {
		t.Errorf("before: %+v", answer)
	}
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.do(p, p.Hide, migrations.Hidden)
	if answer := w.ask(guard); answer.Met || answer.Recheck <= 59*time.Minute {
		t.Errorf("right after: %+v", answer)
	}
	w.exec("update pleat.change set hidden_at = now() - interval '2 hours'")
	if answer := w.ask(guard); !answer.Met {
		t.Errorf("two hours after: %+v", answer)
	}
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Verified)
	if answer := w.ask(guard); answer.Met {
		t.Errorf("after un-hiding: %+v", answer)
	}
}

// A change of which pleat carried out nothing has clocks all the same.
func TestWhatWasFoundAsItIsGetsItsClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	c := splitName()
	p := w.lower(c)
	soak := &planner.Soak{Change: c.Name, For: time.Hour, Digest: p.Digest, Phase: migrations.Verified}
	if answer := w.ask(soak); answer.Met || answer.Recheck <= 59*time.Minute {
		t.Errorf("soak: %+v", answer)
	}
	got := w.observe(c).Changes[c.Name]
	if got.Phase != migrations.Verified || got.Digest != p.Digest || got.QuietSince == nil {
		t.Errorf("recorded: %+v", got)
	}
	hidden := &planner.HiddenFor{Change: "other", For: time.Hour, Digest: "d", Found: true}
	if answer := w.ask(hidden); answer.Met || answer.Recheck <= 59*time.Minute {
		t.Errorf("hidden: %+v", answer)
	}
	w.exec("update pleat.change set hidden_at = now() - interval '2 hours' where name = 'other'")
	if answer := w.ask(hidden); !answer.Met {
		t.Errorf("two hours after: %+v", answer)
	}
}
