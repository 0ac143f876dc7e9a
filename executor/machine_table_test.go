package executor_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pleat/executor"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/providers/fake"
)

// place is where a step may be when something happens, and how it gets there.
type place struct {
	name   string
	status executor.StepStatus // what is recorded of it there; "": nothing
	// The step is there in a call of this step, or once this is written, or
	// where it waits, or when the next command begins.
	call    string
	written string
	waits   bool
	next    bool

	lead   func(*machine) // what happens in the call before
	barred bool           // the gate, from the start
	shut   bool           // the gate, on the way
	way    map[string]answer

	told  executor.Status // the process ends once the run is told to be that
	empty bool            // there is nothing to do
}

// answer is what comes of a call.
type answer func(m *machine, call func() error) error

var (
	errBroken = errors.New("it is broken")
	errDown   = errors.New("the state database is down")
	errLost   = fmt.Errorf("%w: the connection was lost", planner.ErrOutcomeUnknown)
)

func breaks(*machine, func() error) error { return errBroken }

func diesBefore(*machine, func() error) error { panic(killed{}) }

func diesAfter(_ *machine, call func() error) error {
	_ = call() // nobody hears of it
	panic(killed{})
}

func vanishes(m *machine, call func() error) error {
	m.blind = true
	return errors.Join(errLost, call())
}

func losesLease(m *machine, call func() error) error {
	m.refused = &conn.FencedError{Name: "machine", Fence: 1}
	return call()
}

func losesJournal(m *machine, call func() error) error {
	m.refused = errDown
	return call()
}

func stops(m *machine, call func() error) error {
	asksToStop(m)
	return call()
}

// asksToStop is a signal, or pleat abort. Who listens has heard it then.
func asksToStop(m *machine) {
	select {
	case <-m.stop:
	default:
		close(m.stop)
		synctest.Wait()
	}
}

// asksTwice is a second signal. A third one ends the process wherever it is, as
// killing it does.
func asksTwice(m *machine) { asksToStop(m); m.cancel() }

// places are all of them.
var places = []place{
	{name: "planned", written: before + " done"},
	{name: "waiting", status: executor.StepWaiting, waits: true},
	{name: "started", status: executor.StepStarted, call: it},
	{name: "started, asked to stop", status: executor.StepStarted, call: it, lead: asksToStop},
	{name: "started, asked twice", status: executor.StepStarted, call: it, lead: asksTwice},
	{name: "started, cut short before its effect", status: executor.StepStarted, next: true, way: map[string]answer{it: diesBefore}},
	{name: "started, cut short after its effect", status: executor.StepStarted, next: true, way: map[string]answer{it: diesAfter}},
	{name: "started, outcome unknown", status: executor.StepStarted, next: true, way: map[string]answer{it: vanishes}},
	{name: "started, lease lost", status: executor.StepStarted, next: true, way: map[string]answer{it: losesLease}},
	{name: "started, journal lost", status: executor.StepStarted, next: true, way: map[string]answer{it: losesJournal}},
	{name: "done", status: executor.StepDone, written: it + " done"},
	{name: "settled", status: executor.StepSettled, written: it + " settled", next: true, way: map[string]answer{it: diesAfter}},
	{name: "failed", status: executor.StepFailed, written: it + " failed", way: map[string]answer{it: breaks}},
	{name: "deferred", status: executor.StepDeferred, written: it + " deferred", shut: true},
	{name: "undoing", status: executor.StepUndoing, call: it + "/undo", way: map[string]answer{after: breaks}},
	{name: "undoing, cut short before its effect", status: executor.StepUndoing, next: true, way: map[string]answer{after: breaks, it + "/undo": diesBefore}},
	{name: "undoing, cut short after its effect", status: executor.StepUndoing, next: true, way: map[string]answer{after: breaks, it + "/undo": diesAfter}},
	{name: "undoing, failed", status: executor.StepUndoing, next: true, way: map[string]answer{after: breaks, it + "/undo": breaks}},
	{name: "undoing, outcome unknown", status: executor.StepUndoing, next: true, way: map[string]answer{after: breaks, it + "/undo": vanishes}},
	{name: "undone", status: executor.StepUndone, written: it + " undone", way: map[string]answer{after: breaks}},
}

// event is one thing that may happen.
type event struct {
	name string
	now  func(*machine)                                                  // in the place itself
	then func(context.Context, executor.Config) (executor.Result, error) // the next command

	answer answer                         // of the next call of the step or its undo
	gate   func() (planner.Answer, error) // of the next questions
}

func dies(*machine) { panic(killed{}) }

func abandon(ctx context.Context, c executor.Config) (executor.Result, error) {
	return executor.Result{Summary: executor.Summary{Status: executor.Abandoned}}, executor.Abandon(ctx, c)
}

// faulty is a call of the fake in which that goes wrong.
func faulty(f fake.Fault) answer {
	return func(m *machine, call func() error) error { m.fault = f; return call() }
}

// loses is a call that has no effect and whose answer is lost, so many times.
func loses(times int) answer {
	return func(m *machine, call func() error) error {
		if m.lost++; m.lost > times {
			return call()
		}
		return errLost
	}
}

// happenings are all events.
var happenings = []event{
	{name: "answer: done", answer: faulty(fake.Fault{})},
	{name: "answer: done, late", answer: faulty(fake.Fault{Delay: time.Hour})},
	{name: "answer: done, asked for twice", answer: func(m *machine, call func() error) error {
		m.fault.Double = true
		return errors.Join(call(), call())
	}},
	{name: "answer: done, and a former holder asks late", answer: func(m *machine, call func() error) error {
		if m.former() == nil {
			m.breaks("a former holder of the lease was served")
		}
		return call()
	}},
	{name: "answer: done, out of order", answer: faulty(fake.Fault{Reverse: true})},
	{name: "answer: done, unreported", answer: faulty(fake.Fault{Missing: true})},
	{name: "answer: failed", answer: breaks},
	{name: "answer: failed after its effect", answer: func(_ *machine, call func() error) error { return errors.Join(call(), errBroken) }},
	{name: "answer: lost, it is done", answer: faulty(fake.Fault{Lost: true})},
	{name: "answer: lost, it is not done", answer: loses(1)},
	{name: "answer: lost again and again, it is not done", answer: loses(3)},
	{name: "answer: lost, and it cannot be seen", answer: vanishes},
	{name: "answer: lost, and nobody can tell", answer: func(m *machine, call func() error) error {
		m.doubted = true
		return errors.Join(errLost, call())
	}},
	{name: "answer: the lease is lost", answer: func(*machine, func() error) error {
		return &conn.FencedError{Name: "machine", Fence: 1}
	}},
	{name: "gate: closed", gate: func() (planner.Answer, error) { return planner.Answer{Reason: "an incident", Closed: true}, nil }},
	{name: "gate: no answer", gate: func() (planner.Answer, error) { return planner.Answer{}, errBroken }},
	{name: "probe: cannot be seen", now: func(m *machine) { m.blind = true }},
	{name: "probe: nobody can tell", now: func(m *machine) { m.doubted = true }},
	{name: "asked to stop", now: asksToStop},
	{name: "asked twice", now: asksTwice},
	{name: "lease lost", now: func(m *machine) { m.refused = &conn.FencedError{Name: "machine", Fence: 1} }},
	{name: "journal fails", now: func(m *machine) { m.refused = errDown }},
	{name: "killed, then gone on with", now: dies, then: executor.Resume},
	{name: "killed, then taken back", now: dies, then: executor.Back},
	{name: "killed, then given up", now: dies, then: abandon},
}

// rows are a table's, by place and event. A row that was asked for is struck out.
type rows map[[2]string]string

// readRows reads a table: a place, and under it lines with what comes of events.
// An event is meant for both kinds of step unless it says for which, and "any
// answer" is each of them.
func readRows(t *testing.T, file string) rows {
	table, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, at := rows{}, ""
	for line := range strings.Lines(string(table)) {
		line = strings.TrimRight(line, "\n")
		came, events, ok := strings.Cut(line, " <- ")
		if !ok {
			at = line
			continue
		}
		for event := range strings.SplitSeq(events, "; ") {
			for _, key := range eventsOf(event) {
				if _, twice := out[[2]string{at, key}]; twice {
					t.Errorf("%s, %s has two rows", at, key)
				}
				out[[2]string{at, key}] = strings.TrimSpace(came)
			}
		}
	}
	return out
}

// eventsOf are the events that a word in a row means.
func eventsOf(word string) (events []string) {
	name, kind, one := strings.Cut(word, " [")
	for _, e := range happenings {
		if e.name != name && (name != "any answer" || e.answer == nil) {
			continue
		}
		if one {
			events = append(events, e.name+" ["+kind)
			continue
		}
		events = append(events, e.name+" [probed]", e.name+" [idempotent]")
	}
	if len(events) == 0 {
		return []string{word}
	}
	return events
}

func (r rows) want(t *testing.T, place, event, came string) {
	t.Helper()
	key := [2]string{place, event}
	want, ok := r[key]
	switch delete(r, key); {
	case !ok:
		t.Errorf("%s, %s has no row: %s", place, event, came)
	case came != want:
		t.Errorf("%s, %s: %s, want %s", place, event, came, want)
	}
}

func (r rows) wantNoMore(t *testing.T) {
	for key := range r {
		t.Errorf("%s, %s is no pair", key[0], key[1])
	}
}

// constants are the values of a type in event.go.
func constants(t *testing.T, of string) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := v.Type.(*ast.Ident); ok && name.Name == of {
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	if slices.Sort(values); len(values) == 0 {
		t.Fatalf("event.go has no constant of type %s", of)
	}
	return values
}
