package main

import (
	"errors"
	"fmt"

	"pleat/executor"
	"pleat/planner"
)

// conclude ends a run for the person who waits for it: what was done, what
// failed, what was undone, what was not started, and the next command.
func (a *app) conclude(r executor.Result) error {
	if a.json {
		a.jsonLine(struct {
			Exit    int              `json:"exit"`
			Summary executor.Summary `json:"summary"`
		}{exitOf(r), r.Summary})
	} else {
		a.sum(r.Summary)
	}
	switch r.Status {
	case executor.RolledBack:
		return a.ended(exitRolledBack, r.Err, "mend the release or the spec, then: pleat plan")
	case executor.Interrupted:
		return a.ended(exitInterrupted, errors.New("interrupted at a safe point"), "pleat apply goes on, pleat rollback goes back")
	case executor.Failed:
		return a.ended(exitLook, r.Err, lookNext(r.Err))
	}
	return nil
}

func lookNext(err error) string {
	if errors.Is(err, planner.ErrOutcomeUnknown) {
		return "pleat status; once the cause is mended, pleat apply asks again and goes on"
	}
	return "pleat status; once the cause is mended, pleat apply goes on"
}

func exitOf(r executor.Result) int {
	switch r.Status {
	case executor.RolledBack:
		return exitRolledBack
	case executor.Interrupted:
		return exitInterrupted
	case executor.Failed:
		return exitLook
	}
	return exitDone
}

func (a *app) ended(code int, err error, next string) error {
	if a.json {
		return &codeError{code: code}
	}
	return &codeError{code: code, err: err, next: next}
}

// sum prints the parts of a summary that a person needs: on success only what
// is left, on failure everything.
func (a *app) sum(s executor.Summary) {
	switch s.Status {
	case executor.Complete:
		a.talk("\nDone: %s in %.1fs.", count(len(s.Done), "step"), s.Seconds)
		return
	case executor.Noop:
		a.talk("\nNothing to do.")
		return
	case executor.Deferred:
		a.talk("\nDone as far as it goes now: %s in %.1fs.", count(len(s.Done), "step"), s.Seconds)
		a.list("Deferred", s.Deferred)
		a.talk("Next: pleat apply takes it up again.")
		return
	}
	a.talk("")
	a.list("Done", s.Done)
	if s.Failed != "" {
		a.list("Failed", []string{s.Failed})
	}
	a.list("Undone", s.Undone)
	a.list("Not started", s.NotStarted)
	a.list("Deferred", s.Deferred)
}

func (a *app) list(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	a.talk("%s:", heading)
	for _, l := range lines {
		a.talk("  %s", l)
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
