package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pleat/executor"
	"pleat/planner"
)

// watched is a watcher on a clock of its own, without the goroutine that draws.
type watched struct {
	*watcher
	out bytes.Buffer
	at  time.Time
}

func watching(tty bool, width int) *watched {
	w := &watched{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.watcher = newWatcher(&w.out, tty, false, func() int { return width })
	w.clock = func() time.Time { return w.at }
	w.see(executor.RunChanged{Status: executor.Pending, Steps: 2})
	return w
}

func (w *watched) see(events ...executor.Event) {
	for _, e := range events {
		w.Watch(executor.Record{Event: e})
	}
}

func (w *watched) after(d time.Duration) {
	w.at = w.at.Add(d)
	w.tick()
}

func step(status executor.StepStatus, change func(*executor.StepChanged)) executor.StepChanged {
	e := executor.StepChanged{Step: "s", Number: 1, Kind: "start", Title: "demo r2 web 1 of 3", Status: status}
	if change != nil {
		change(&e)
	}
	return e
}

func instance(state, trouble string) executor.InstanceChanged {
	e := executor.InstanceChanged{Service: "demo", Release: "r2", Process: "web", Instance: "web.1", Host: "one", Error: trouble}
	e.State = planner.InstanceState(state)
	return e
}

// TestWhatInstancesSayDoesNothingToATerminal: nor do errors in which it is.
func TestWhatInstancesSayDoesNothingToATerminal(t *testing.T) {
	const evil = "\x1b[2Jred\x1b]0;title\x07\r\u009b1m\tend"
	for _, tty := range []bool{false, true} {
		w := watching(tty, 200)
		w.see(step(executor.StepStarted, nil), instance("down", evil), executor.Warned{Text: evil}, executor.Wrote{Source: "migrate", Line: evil},
			step(executor.StepFailed, func(e *executor.StepChanged) { e.Error, e.Detail = evil, evil }))
		if out := w.out.String(); strings.ContainsAny(out, "\x1b\x07\r\u009b") || !strings.Contains(out, "[2Jred]0;title") {
			t.Errorf("on a terminal (%t): %q", tty, out)
		}
	}
	var out bytes.Buffer
	a := newApp(streams{err: &out}, nil)
	a.talk("Error: %s", evil)
	if out.String() != "Error: [2Jred]0;title1m\tend\n" {
		t.Errorf("said %q", out.String())
	}
}

func TestALogSaysATroubleOnceAndBeatsWhileAStepRuns(t *testing.T) {
	w := watching(false, 80)
	w.see(step(executor.StepStarted, nil), instance("starting", ""))
	w.after(9 * time.Second)
	w.after(time.Second)
	w.after(time.Second)
	w.see(instance("down", "failed to start: exit status 1"), executor.Warned{Text: "demo r2 web.1 on one: failed to start: exit status 1; start 1 of 1 that may fail"})
	why := "demo r2 web.1 on one: failed to start: exit status 1"
	w.see(instance("down", "failed to start: exit status 1"),
		step(executor.StepFailed, func(e *executor.StepChanged) { e.Error = why + "\nits output" }),
		executor.RunChanged{Status: executor.RollingBack, Error: why + "\nits output"},
		step(executor.StepUndoing, nil), instance("down", "killed: still there 10s after SIGTERM"),
		step(executor.StepUndone, func(e *executor.StepChanged) { e.Detail = "stop it" }))
	want := `  1/2  start     demo r2 web 1 of 3                  10s so far, web.1 is starting
        warning: demo r2 web.1 on one: failed to start: exit status 1; start 1 of 1 that may fail
  1/2  start     demo r2 web 1 of 3                  FAILED
        demo r2 web.1 on one: failed to start: exit status 1

Rolling back
        demo r2 web.1 on one: killed: still there 10s after SIGTERM
  1/2  start     demo r2 web 1 of 3                  undone: stop it
`
	if diff := cmp.Diff(want, w.out.String()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}

func TestARunThatIsTakenUpSaysWhyItGoesBack(t *testing.T) {
	w := watching(false, 80)
	w.see(executor.RunChanged{Status: executor.RollingBack, Error: "asked to roll back"})
	if want := "\nRolling back: asked to roll back\n"; w.out.String() != want {
		t.Errorf("it says %q, want %q", w.out.String(), want)
	}
}

// A run that has nothing to undo is not said to go back: its failure stands above.
func TestARollbackOfNothingIsNotAnnounced(t *testing.T) {
	w := watching(false, 80)
	w.see(step(executor.StepStarted, nil), step(executor.StepFailed, func(e *executor.StepChanged) { e.Error = "no" }),
		executor.RunChanged{Status: executor.RollingBack, Error: "no"}, executor.RunChanged{Status: executor.RolledBack, Error: "no"})
	if strings.Contains(w.out.String(), "Rolling back") {
		t.Errorf("it says %q", w.out.String())
	}
}

// What was found done was begun by this command, where that said so, or by one that was
// cut short.
func TestALogSaysWhoDidWhatWasFoundDone(t *testing.T) {
	w := watching(false, 80)
	w.see(step(executor.StepSettled, nil),
		step(executor.StepStarted, func(e *executor.StepChanged) { e.Step, e.Number = "t", 2 }))
	w.at = w.at.Add(3 * time.Second)
	w.see(step(executor.StepSettled, func(e *executor.StepChanged) { e.Step, e.Number = "t", 2 }))
	want := `  1/2  start     demo r2 web 1 of 3                  done by an earlier run
  2/2  start     demo r2 web 1 of 3                  3.0s, found done after its answer was lost
`
	if diff := cmp.Diff(want, w.out.String()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}

// On a terminal nothing may be left of a longer line, and no line may be so
// long that it takes two rows: the next one would not cover it.
func TestATerminalHasOneLivingLine(t *testing.T) {
	w := watching(true, 70)
	w.see(step(executor.StepStarted, nil), step(executor.StepWaiting, func(e *executor.StepChanged) { e.Detail = "requests in flight at demo r1, at most 30s" }))
	w.after(time.Second)
	w.after(time.Second)
	w.see(executor.Progressed{Step: "s", Done: 500, Total: 2000, Unit: "rows"},
		executor.Warned{Text: "2 requests at demo r1 were not finished after 30s and were cut"},
		step(executor.StepDone, func(e *executor.StepChanged) { e.Took = 2 }))
	for _, drawn := range strings.Split(w.out.String(), "\r\x1b[K") {
		for _, line := range strings.Split(drawn, "\n") {
			if n := len([]rune(line)); n >= 70 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
	if diff := cmp.Diff([]string{
		"        warning: 2 requests at demo r1 were not finished after 30s",
		"        and were cut",
		"  1/2  start     demo r2 web 1 of 3                  2.0s, 500 rows",
	}, screen(w.out.String())); diff != "" {
		t.Errorf("what stays on the screen (-want +got):\n%s", diff)
	}
}

// A step of several phases says the one that it is at, and at its end none of them.
func TestAPhaseIsOfTheMoment(t *testing.T) {
	w := watching(true, 120)
	w.see(step(executor.StepStarted, nil), executor.Progressed{Step: "s", Done: 100, Total: 400, Unit: "blocks, building index"})
	w.after(time.Second)
	w.see(executor.Progressed{Step: "s", Done: 200, Total: 400, Unit: "blocks, building index"})
	w.tick()
	if got := w.out.String(); !strings.Contains(got, ", 50 %, 200 blocks, 100 blocks/s, 2.0s left, building index") {
		t.Errorf("the living line is %q", got)
	}
	w.see(step(executor.StepDone, func(e *executor.StepChanged) { e.Took = 2 }))
	if diff := cmp.Diff([]string{"  1/2  start     demo r2 web 1 of 3                  2.0s"}, screen(w.out.String())); diff != "" {
		t.Errorf("what stays on the screen (-want +got):\n%s", diff)
	}
}

// Titles and results are columns also where a title has no room in its own.
func TestATerminalHasColumns(t *testing.T) {
	w := watching(true, 80)
	w.see(step(executor.StepDone, func(e *executor.StepChanged) { e.Took = 2 }),
		step(executor.StepDone, func(e *executor.StepChanged) {
			e.Kind, e.Title, e.Took = "contract", "drop users.name, users.nickname and what keeps them in step", 0.3
		}),
		step(executor.StepDeferred, func(e *executor.StepChanged) {
			e.Kind, e.Title, e.Detail = "contract", "drop users.name", "needs --acknowledge 127.0.0.1:5432/main:users.name"
		}))
	if diff := cmp.Diff([]string{
		"  1/2  start     demo r2 web 1 of 3                  2.0s",
		"  1/2  contract  drop users.name, users.nickname     0.3s",
		"                 and what keeps them in step",
		"  1/2  contract  drop users.name",
		"        deferred: needs --acknowledge 127.0.0.1:5432/main:users.name",
	}, screen(w.out.String())); diff != "" {
		t.Errorf("what stays on the screen (-want +got):\n%s", diff)
	}
}

// The gates of a run are a list that fits the terminal, and what is waited for is
// said below it until that is over.
func TestGatesAreListed(t *testing.T) {
	w := watching(true, 60)
	until := w.at.Add(30 * time.Second)
	ci := executor.GateAnswer{Gate: "gate.ci", For: []string{"change.split_name", "users 2.0.2"}, Status: executor.GatePassed}
	calm := executor.GateAnswer{Gate: "gate.no_incident", For: []string{"users 2.0.2"}, Status: executor.GateMissing, Reason: "open == 0 is not so: open = 2\nand more"}
	load := executor.GateAnswer{Gate: "gate.load", For: []string{"users 2.0.2"}, Status: executor.GateSkipped, Reason: "gate.no_incident is missing"}
	w.see(executor.GatesAsked{Gates: []executor.GateAnswer{ci, calm, load}, Until: &until})
	w.after(time.Second)
	if living := "  gate before the first step 1.0s, waiting for gate.no_inc…"; !strings.Contains(w.out.String(), living) {
		t.Errorf("there is no %q in %q", living, w.out.String())
	}
	calm.Status, calm.Reason, load.Status, load.Reason = executor.GatePassed, "", executor.GatePassed, ""
	w.see(executor.GatesAsked{Gates: []executor.GateAnswer{ci, calm, load}})
	w.after(time.Second)
	if diff := cmp.Diff([]string{
		"Gates, asked again for 30s:",
		"  gate.ci           passed   change.split_name, users 2.0.2",
		"  gate.no_incident  missing  users 2.0.2: open == 0 is not",
		"                             so: open = 2",
		"  gate.load         skipped  users 2.0.2: gate.no_incident",
		"                             is missing",
		"Gates:",
		"  gate.ci           passed   change.split_name, users 2.0.2",
		"  gate.no_incident  passed   users 2.0.2",
		"  gate.load         passed   users 2.0.2",
		"",
	}, screen(w.out.String())); diff != "" {
		t.Errorf("what stays on the screen (-want +got):\n%s", diff)
	}
}

// screen is what a terminal shows after what was written to it.
func screen(written string) []string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSuffix(written, "\n"), "\n") {
		drawn := strings.Split(line, "\r\x1b[K")
		lines = append(lines, drawn[len(drawn)-1])
	}
	return lines
}
