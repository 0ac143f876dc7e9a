package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"pleat/executor/journal"
	"pleat/executor/lease"
	"pleat/migrations/bookkeeping"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// world is a state database with a lease and a journal under it.
type world struct {
	*journal.Journal
	url    string
	lease  *lease.Lease
	ticket planner.Ticket
}

func newWorld(t testing.TB, url string) *world {
	t.Helper()
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
		t.Fatal(err)
	}
	holder, err := lease.Self("r1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lease.Take(t.Context(), spec.Plain(url), "production", holder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Release(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return &world{open(t, url), url, l, planner.Ticket{Run: "r1", Lease: "production", Fence: l.Fence()}}
}

func open(t testing.TB, url string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), spec.Plain(url), "production", "pleat/r1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return j
}

var aRun = journal.Run{
	ID: "r1", Kind: "apply", Status: "running", Fingerprint: "f", Wish: "w",
	Plan: json.RawMessage("{\"b\": 1,\n \"a\" : \"\\u0000\"}"), Who: "me", Host: "here",
}

// begun is a world with an open run.
func begun(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, pgtest.New(t).Database(t))
	if err := w.Begin(t.Context(), w.ticket, aRun); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestReadIsEmptyInAFreshDatabase(t *testing.T) {
	j := open(t, pgtest.New(t).Database(t))
	read, err := j.Read(t.Context())
	if err != nil || read.Open != nil || len(read.Releases) != 0 {
		t.Errorf("Read = %v, %v", read, err)
	}
	if run, err := j.Unfinished(t.Context()); run != nil || err != nil {
		t.Errorf("Unfinished = %v, %v", run, err)
	}
	if runs, err := j.Runs(t.Context(), 10); len(runs) != 0 || err != nil {
		t.Errorf("Runs = %v, %v", runs, err)
	}
	if events, err := j.Events(t.Context(), 0, 10); len(events) != 0 || err != nil {
		t.Errorf("Events = %v, %v", events, err)
	}
}

func TestReadNeedsNoRightToWrite(t *testing.T) {
	server := pgtest.New(t)
	w := begun(t)
	server.Exec(t, "create role reader login password 'p'")
	t.Cleanup(func() { server.Exec(t, "drop role reader") })
	t.Cleanup(func() { pgtest.Exec(t, w.url, "drop owned by reader") })
	pgtest.Exec(t, w.url, `
		alter role reader set default_transaction_read_only = on;
		grant usage on schema pleat to reader;
		grant select on all tables in schema pleat to reader`)
	reader := open(t, strings.Replace(w.url, "postgres@", "reader:p@", 1))
	read, err := reader.Read(t.Context())
	if err != nil || read.Open == nil {
		t.Errorf("Read = %v, %v", read, err)
	}
	if err := reader.Write(t.Context(), w.ticket, journal.Entry{Step: "s", Status: "started"}); err == nil {
		t.Error("the reader wrote")
	}
}

func TestARunFromBeginToFinish(t *testing.T) {
	w := begun(t)
	got, err := w.Unfinished(t.Context())
	if err != nil || got == nil {
		t.Fatalf("Unfinished = %v, %v", got, err)
	}
	if got.Started.IsZero() || !got.Finished.IsZero() {
		t.Errorf("started %v, finished %v", got.Started, got.Finished)
	}
	got.Started = aRun.Started
	if diff := cmp.Diff(&aRun, got); diff != "" {
		t.Errorf("the open run (-want +got):\n%s", diff)
	}
	other := aRun
	other.ID = "r2"
	if err := w.Begin(t.Context(), w.ticket, other); err == nil {
		t.Error("a second run is open")
	}
	if err := w.Resume(t.Context(), w.ticket, "r1"); err != nil {
		t.Error(err)
	}
	if _, err := w.Finish(t.Context(), w.ticket, "r1", "complete", body(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(t.Context(), w.ticket, "r1", "complete", body(`{}`)); err == nil {
		t.Error("it ended twice")
	}
	if err := w.Resume(t.Context(), w.ticket, "r1"); err == nil {
		t.Error("a run that ended was resumed")
	}
	runs, err := w.Runs(t.Context(), 1)
	if err != nil || len(runs) != 1 || runs[0].Status != "complete" || runs[0].Finished.IsZero() {
		t.Errorf("Runs = %+v, %v", runs, err)
	}
}

func TestEntriesComeBackInOrder(t *testing.T) {
	w := begun(t)
	want := []journal.Entry{{Step: "a", Status: "started"}, {Step: "a", Status: "done", Detail: "d"}, {Step: "b", Status: "started"}}
	for _, e := range want {
		if err := w.Write(t.Context(), w.ticket, e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Entries(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].At.IsZero() {
			t.Errorf("entry %d has no time", i)
		}
		got[i].At = want[0].At
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestReleasesAreRecordedHeldAndLifted(t *testing.T) {
	w := newWorld(t, pgtest.New(t).Database(t))
	release := planner.Release{
		Service: "users", Version: "2.0.0", Knows: []string{"split"},
		Processes: []planner.ProcessDefinition{{
			Process: "web", Env: map[string]spec.Text{"KEY": spec.Secret("var.key", "c4n4ry"), "A": spec.Plain("b")},
		}},
	}
	if err := w.Hold(t.Context(), w.ticket, "users", "2.0.0", "bad"); err == nil {
		t.Error("a release that nobody recorded is on hold")
	}
	if err := w.PutRelease(t.Context(), w.ticket, release); err != nil {
		t.Fatal(err)
	}
	if err := w.Hold(t.Context(), w.ticket, "users", "2.0.0", "bad"); err != nil {
		t.Fatal(err)
	}
	// Recording it again leaves it on hold.
	if err := w.PutRelease(t.Context(), w.ticket, release); err != nil {
		t.Fatal(err)
	}
	if got := onlyRelease(t, w); got.Held != "bad" || got.Processes[0].Env["KEY"].Ref() != "var.key" {
		t.Errorf("release = %+v", got)
	}
	if pgtest.Value[bool](t, pgtest.Connect(t, w.url), "select definition::text like '%c4n4ry%' from pleat.release") {
		t.Error("the secret is in the database")
	}
	if err := w.Lift(t.Context(), w.ticket, "users", "2.0.0"); err != nil {
		t.Fatal(err)
	}
	if got := onlyRelease(t, w); got.Held != "" {
		t.Errorf("still held: %q", got.Held)
	}
}

func onlyRelease(t *testing.T, w *world) planner.Release {
	t.Helper()
	read, err := w.Read(t.Context())
	if err != nil || len(read.Releases) != 1 {
		t.Fatalf("Read = %+v, %v", read, err)
	}
	return read.Releases[0]
}

func TestEventsAreNumberedWithoutGapsAndComeBackByteForByte(t *testing.T) {
	w := begun(t)
	var want int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				if _, err := w.Emit(t.Context(), w.ticket, body(`{"b": 1, "a": "\u0000"}`), body(`{"c":2}`)); err != nil {
					t.Error(err)
				}
			}
		})
		want += 20
	}
	all.Wait()
	if last, err := w.Emit(t.Context(), w.ticket, body(`{}`)); err != nil || last != want+1 {
		t.Errorf("the last event has number %d, %v, want %d", last, err, want+1)
	}
	events, err := w.Events(t.Context(), 10, 1000)
	if err != nil || len(events) != int(want)-9 {
		t.Fatalf("%d events after 10, %v", len(events), err)
	}
	for i, e := range events {
		if e.Seq != int64(11+i) || e.Run != "r1" {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
	if string(events[0].Body) != `{"b": 1, "a": "\u0000"}` {
		t.Errorf("body = %s", events[0].Body)
	}
}

func body(s string) json.RawMessage { return json.RawMessage(s) }

func TestEnvironmentsCountTheirOwnEvents(t *testing.T) {
	w := begun(t)
	if _, err := w.Emit(t.Context(), w.ticket, body(`{}`), body(`{}`)); err != nil {
		t.Fatal(err)
	}
	other, err := journal.Open(t.Context(), spec.Plain(w.url), "staging", "pleat/r1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := other.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if last, err := other.Emit(t.Context(), w.ticket, body(`{}`)); last != 1 || err != nil {
		t.Errorf("Emit = %d, %v", last, err)
	}
	if run, err := other.Unfinished(t.Context()); run != nil || err != nil {
		t.Errorf("Unfinished = %v, %v", run, err)
	}
}

func TestFollowShowsEachEventOnceInOrder(t *testing.T) {
	w := begun(t)
	const events = 700 // more than one batch
	bodies := make([]json.RawMessage, events/2)
	for i := range bodies {
		bodies[i] = body(`{}`)
	}
	if _, err := w.Emit(t.Context(), w.ticket, bodies...); err != nil {
		t.Fatal(err)
	}
	follower := open(t, w.url)
	enough := errors.New("enough")
	var emitted sync.WaitGroup
	emitted.Go(func() {
		if _, err := w.Emit(t.Context(), w.ticket, bodies...); err != nil {
			t.Error(err)
		}
	})
	var seen int64
	err := follower.Follow(t.Context(), 0, func(e journal.Event) error {
		seen++
		if e.Seq != seen {
			return fmt.Errorf("event %d came as number %d", e.Seq, seen)
		}
		if seen == events {
			return enough
		}
		return nil
	})
	emitted.Wait()
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := follower.Follow(ctx, seen, func(journal.Event) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow of a cancelled context: %v", err)
	}
}

func TestNothingIsWrittenUnderAnOldFence(t *testing.T) {
	w := begun(t)
	if err := w.PutRelease(t.Context(), w.ticket, planner.Release{Service: "s", Version: "1"}); err != nil {
		t.Fatal(err)
	}
	held, err := lease.Show(t.Context(), spec.Plain(w.url), "production")
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Unlock(t.Context(), spec.Plain(w.url), "production", held.ID); err != nil {
		t.Fatal(err)
	}
	c := pgtest.Connect(t, w.url)
	before := fingerprint(t, c)
	ctx, ticket := t.Context(), w.ticket
	writes := map[string]error{
		"Begin":      w.Begin(ctx, ticket, aRun),
		"Resume":     w.Resume(ctx, ticket, "r1"),
		"Write":      w.Write(ctx, ticket, journal.Entry{Step: "s", Status: "done"}),
		"PutRelease": w.PutRelease(ctx, ticket, planner.Release{Service: "s", Version: "2"}),
		"Hold":       w.Hold(ctx, ticket, "s", "1", "x"),
		"Lift":       w.Lift(ctx, ticket, "s", "1"),
	}
	_, writes["Finish"] = w.Finish(ctx, ticket, "r1", "complete", body(`{}`))
	_, writes["Record"] = w.Record(ctx, ticket, []journal.Entry{{Step: "s", Status: "done"}}, body(`{}`))
	_, writes["Emit"] = w.Emit(ctx, ticket, body(`{}`))
	for name, err := range writes {
		var fenced *conn.FencedError
		if !errors.As(err, &fenced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := fingerprint(t, c); after != before {
		t.Errorf("something was written: %s, before %s", after, before)
	}
}

func fingerprint(t *testing.T, c *pgx.Conn) string {
	t.Helper()
	return pgtest.Value[string](t, c, `
		select concat_ws(' ', (select count(*) from pleat.run), (select count(*) from pleat.run where finished is null),
			(select count(*) from pleat.entry), (select count(*) from pleat.event),
			(select count(*) from pleat.release), (select count(*) from pleat.release where held <> ''))`)
}

// Two holders emit at once, one of them fenced: the stream has the other's
// events only.
func TestAFencedEmitterIsRefusedBesideTheHolder(t *testing.T) {
	w := begun(t)
	old := w.ticket
	old.Fence--
	var all sync.WaitGroup
	second := open(t, w.url)
	all.Go(func() {
		for range 30 {
			var fenced *conn.FencedError
			if _, err := second.Emit(t.Context(), old, body(`{"old":true}`)); !errors.As(err, &fenced) {
				t.Errorf("the fenced emitter: %v", err)
			}
		}
	})
	for range 30 {
		if _, err := w.Emit(t.Context(), w.ticket, body(`{}`)); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	events, err := w.Events(t.Context(), 0, 100)
	if err != nil || len(events) != 30 || events[29].Seq != 30 {
		t.Errorf("%d events, %v", len(events), err)
	}
}
