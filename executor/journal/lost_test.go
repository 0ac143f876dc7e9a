package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/executor/journal"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

func isCommit(kind byte, body []byte) bool {
	return kind == 'P' && bytes.HasPrefix(bytes.TrimLeft(body, "\x00"), []byte("commit\x00"))
}

func containing(text string) func(byte, []byte) bool {
	return func(_ byte, body []byte) bool { return bytes.Contains(body, []byte(text)) }
}

// Whatever message of a write is lost, and whether the server got it or not,
// the write is there exactly once and the caller hears no error.
func TestAWriteWhoseConnectionIsCutIsThereOnce(t *testing.T) {
	cuts := map[string]*pgtest.Cut{
		"before begin":     {At: containing("begin"), Before: true},
		"after begin":      {At: containing("begin")},
		"before the fence": {At: containing("pleat.lease"), Before: true},
		"after the fence":  {At: containing("pleat.lease")},
		"before the write": {At: isWrite, Before: true},
		"after the write":  {At: isWrite},
		"before COMMIT":    {At: isCommit, Before: true},
		"after COMMIT":     {At: isCommit},
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, pgtest.New(t).Database(t))
			proxy, through := pgtest.NewProxy(t, w.url)
			for _, write := range writes(w.ticket) {
				j := open(t, through)
				armed := &pgtest.Cut{At: cut.At, Before: cut.Before}
				proxy.Arm(armed)
				if err := write.do(t.Context(), j); err != nil {
					t.Errorf("%s: %v", write.what, err)
				}
				select {
				case <-armed.Happened:
				case <-time.After(10 * time.Second):
					t.Errorf("%s: nothing was cut", write.what)
				}
			}
			once(t, w)
		})
	}
}

func isWrite(_ byte, body []byte) bool {
	for _, table := range []string{"pleat.run ", "pleat.entry ", "pleat.event ", "pleat.release "} {
		if bytes.Contains(body, []byte("insert into "+table)) {
			return true
		}
	}
	return false
}

// journalWrite is one thing that a run writes.
type journalWrite struct {
	what string
	do   func(context.Context, *journal.Journal) error
}

// writes is one of each that a run is made of.
func writes(t planner.Ticket) []journalWrite {
	return []journalWrite{
		{"Begin", func(ctx context.Context, j *journal.Journal) error { return j.Begin(ctx, t, aRun) }},
		{"PutRelease", func(ctx context.Context, j *journal.Journal) error {
			return j.PutRelease(ctx, t, planner.Release{Service: "s", Version: "1"})
		}},
		{"Record", func(ctx context.Context, j *journal.Journal) error {
			_, err := j.Record(ctx, t, []journal.Entry{{Step: "s", Status: "failed"}, {Step: "rollback", Status: "decided"}}, json.RawMessage(`{}`), json.RawMessage(`{}`))
			return err
		}},
		{"Emit", func(ctx context.Context, j *journal.Journal) error {
			_, err := j.Emit(ctx, t, json.RawMessage(`{}`))
			return err
		}},
	}
}

func once(t *testing.T, w *world) {
	t.Helper()
	c := pgtest.Connect(t, w.url)
	if got := fingerprint(t, c); got != "1 1 2 3 1 0" {
		t.Errorf("runs, open runs, entries, events, releases, held ones: %s", got)
	}
}

func TestAnEntryWhoseCommitIsNotAnsweredIsThereOnce(t *testing.T) {
	w := begun(t)
	proxy, through := pgtest.NewProxy(t, w.url)
	j := open(t, through)
	for range 5 {
		cut := &pgtest.Cut{At: isCommit}
		proxy.Arm(cut)
		if err := j.Write(t.Context(), w.ticket, journal.Entry{Step: "s", Status: "done"}); err != nil {
			t.Error(err)
		}
		<-cut.Happened
	}
	if entries, err := w.Entries(t.Context(), "r1"); len(entries) != 5 || err != nil {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestAWriteAfterItsSessionWasTerminatedIsThereOnce(t *testing.T) {
	w := begun(t)
	c := pgtest.Connect(t, w.url)
	for range 3 {
		pgtest.Value[int](t, c, `
			select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
			where application_name = 'pleat/r1' and pid <> pg_backend_pid()`)
		if err := w.Write(t.Context(), w.ticket, journal.Entry{Step: "s", Status: "done"}); err != nil {
			t.Error(err)
		}
	}
	if entries, err := w.Entries(t.Context(), "r1"); len(entries) != 3 || err != nil {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestACancelledWriteIsAnErrorAndTheNextOneWorks(t *testing.T) {
	w := begun(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Write(ctx, w.ticket, journal.Entry{Step: "s", Status: "started"}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if err := w.Write(t.Context(), w.ticket, journal.Entry{Step: "s", Status: "done"}); err != nil {
		t.Error(err)
	}
	if entries, err := w.Entries(t.Context(), "r1"); len(entries) != 1 || err != nil {
		t.Errorf("entries = %v, %v", entries, err)
	}
}

func TestWritingGoesOnAfterTheServerRestarted(t *testing.T) {
	server := pgtest.Own(t)
	w := newWorld(t, server.URL("postgres"))
	if err := w.Begin(t.Context(), w.ticket, aRun); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []pgtest.Mode{pgtest.Immediate, pgtest.Fast} {
		server.Halt(t, mode)
		written := make(chan error, 1)
		go func() { written <- w.Write(t.Context(), w.ticket, journal.Entry{Step: "s", Status: "done"}) }()
		server.Resume(t)
		if err := <-written; err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
	if entries, err := w.Entries(t.Context(), "r1"); len(entries) != 2 || err != nil {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestAWriteThatCannotBeLookedForStaysUnknown(t *testing.T) {
	w := begun(t)
	proxy, through := pgtest.NewProxy(t, w.url)
	j := open(t, through)
	j.SetPatience(300 * time.Millisecond)
	proxy.Arm(&pgtest.Cut{At: isCommit})
	proxy.Refuse()
	err := j.Write(t.Context(), w.ticket, journal.Entry{Step: "s", Status: "done"})
	if !errors.Is(err, planner.ErrOutcomeUnknown) {
		t.Errorf("err = %v", err)
	}
}

// benchSteps is how many steps a figure is the mean of.
const benchSteps = 500

// A step costs two entries and two events. The figure stands beside that of
// bare transactions with one insert.
func BenchmarkStep(b *testing.B) {
	w := begun(b)
	c := pgtest.Connect(b, w.url)
	for b.Loop() {
		fmt.Printf("\nfigure journal_ms_per_step %.2f ms\n", meanMillis(func() { journalStep(b, w) }))
		fmt.Printf("figure bare_transaction_ms %.2f ms\n", meanMillis(func() { insertBare(b, c) }))
	}
}

func meanMillis(do func()) float64 {
	began := time.Now()
	for range benchSteps {
		do()
	}
	return time.Since(began).Seconds() * 1000 / benchSteps
}

func journalStep(b *testing.B, w *world) {
	b.Helper()
	for _, status := range []string{"started", "done"} {
		if err := w.Write(b.Context(), w.ticket, journal.Entry{Step: "s", Status: status}); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Emit(b.Context(), w.ticket, json.RawMessage(`{"type":"step"}`)); err != nil {
			b.Fatal(err)
		}
	}
}

func insertBare(b *testing.B, c *pgx.Conn) {
	b.Helper()
	tx, err := c.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := tx.Exec(b.Context(), "insert into pleat.mark (run, step) values ($1, gen_random_uuid()::text)", "r"); err != nil {
		b.Fatal(err)
	}
	if err := tx.Commit(b.Context()); err != nil {
		b.Fatal(err)
	}
}
