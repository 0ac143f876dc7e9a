package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pleat/executor"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/spec"
)

// conclude ends a run for the person who waits for it: what was done, what
// failed, what was undone, what was not started, and the next command.
func (a *app) conclude(kind string, r executor.Result) error {
	err := endError(kind, r)
	if !a.json {
		a.sum(kind, r.Summary)
	}
	if a.json && err == nil {
		a.jsonLine(jsonError{Exit: exitDone, Summary: &r.Summary})
	}
	return err
}

// endError is a run's end as an error; nil when it got where it can.
func endError(kind string, r executor.Result) error {
	switch r.Status {
	case executor.RolledBack:
		var halfway *postgres.MigrationError
		if errors.As(r.Err, &halfway) && halfway.Ran > 0 {
			return &runError{codeError{exitLook, r.Err, "mend the rest of the migration, or the rows, then: pleat plan"}, r.Summary}
		}
		return &runError{codeError{exitRolledBack, r.Err, mendNext(kind, r.Err)}, r.Summary}
	case executor.Interrupted:
		return &runError{codeError{exitInterrupted, errors.New("interrupted at a safe point"), goOn(kind)}, r.Summary}
	case executor.Deferred:
		if shut(r.Summary) {
			return &runError{codeError{exitBlocked, errors.New("blocked: nothing could be done"), fmt.Sprintf("pleat %s%s asks again%s", kind, withWords(r.Deferred), onceChanged(r.Summary))}, r.Summary}
		}
	case executor.Blocked:
		return &runError{codeError{exitBlocked, fmt.Errorf("blocked, and nothing was done: %w", r.Err), blockedNext(kind, r)}, r.Summary}
	case executor.Failed:
		return &runError{codeError{exitLook, r.Err, lookNext(kind, r.Err)}, r.Summary}
	}
	return nil
}

// shut tells whether a run was put off as a whole, by something that is closed.
func shut(s executor.Summary) bool {
	return s.Status == executor.Deferred && s.Blocked && len(s.Done) == 0
}

// mendNext is what to do about a run that has gone back, by what failed.
func mendNext(kind string, err error) string {
	var migration *postgres.MigrationError
	var lock *postgres.LockBudgetError
	switch {
	case errors.As(err, &migration):
		return "mend the migration, then: pleat plan"
	case errors.As(err, &lock):
		return "pleat " + kind + " tries again"
	}
	return "mend the release or the spec, then: pleat plan"
}

// blockedNext is how to go on where a gate is closed: what an earlier attempt has
// done stands, and can be taken back.
func blockedNext(kind string, r executor.Result) string {
	next := "pleat " + kind + " asks again"
	if len(r.Done) > 0 || r.Unfinished != "" {
		next += ", pleat rollback takes back what was done before"
	}
	return next
}

// runError is a run that did not get where it should, with what came of it.
type runError struct {
	codeError
	summary executor.Summary
}

// Unwrap gives the code.
func (e *runError) Unwrap() error { return &e.codeError }

func lookNext(kind string, err error) string {
	if errors.Is(err, planner.ErrOutcomeUnknown) {
		return "pleat status; once the cause is mended, pleat " + kind + " asks again and goes on"
	}
	return "pleat status; once the cause is mended, pleat " + kind + " goes on"
}

// sum prints the parts of a summary that a person needs: on success only what
// is left, on failure everything.
func (a *app) sum(kind string, s executor.Summary) {
	switch s.Status {
	case executor.Complete:
		a.talk("\nDone: %s in %.1fs.", count(len(s.Done), "step"), s.Seconds)
		return
	case executor.Noop:
		a.talk("\nNothing to do.")
		return
	case executor.Blocked:
		a.list("Done by an earlier attempt", s.Done)
		return
	case executor.Deferred:
		if shut(s) {
			a.talk("")
			a.list("Deferred", putOff(s.Deferred))
			return // the error says the rest
		}
		a.talk("\nDone as far as it goes now: %s in %.1fs.", count(len(s.Done), "step"), s.Seconds)
		a.list("Deferred", putOff(s.Deferred))
		a.talk("Next: pleat %s%s takes it up again%s.", kind, withWords(s.Deferred), onceChanged(s))
		return
	}
	a.talk("")
	done := "Done"
	if s.Status == executor.RolledBack {
		done = "Done, and stays so"
	}
	a.list(done, s.Done)
	if s.Failed != "" {
		a.list("Failed", []string{s.Failed})
	}
	if s.Unfinished != "" {
		a.list("Begun and not finished", []string{s.Unfinished})
	}
	a.list("Undone", s.Undone)
	a.list("Not started", first(s.NotStarted))
	a.list("Deferred", putOff(s.Deferred))
}

// fewLines is how many steps that were not even begun are named.
const fewLines = 5

// first are the first lines of a list, and how many more there are.
func first(lines []string) []string {
	if len(lines) <= fewLines+1 { // a line about one line saves none
		return lines
	}
	return append(slices.Clone(lines[:fewLines]), fmt.Sprintf("and %d more, all of them in the last line of pleat events", len(lines)-fewLines))
}

// onceChanged is what it takes first, where nothing of what is deferred goes on
// by the spec as it is; "" where something does.
func onceChanged(s executor.Summary) string {
	if !s.UntilSpec {
		return ""
	}
	return " once the spec wants a release that knows it"
}

// putOff are lines that say which steps were put off, and why.
func putOff(steps []executor.PutOff) []string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, s.Step+": "+s.Reason)
	}
	return lines
}

// withWords are the arguments without which none of what is deferred goes on;
// "" where some of it does.
func withWords(deferred []executor.PutOff) string {
	var words []string
	for _, d := range deferred {
		wanted := planner.WordsIn(d.Reason)
		if len(wanted) == 0 {
			return ""
		}
		words = append(words, wanted...)
	}
	if len(words) == 0 {
		return ""
	}
	return " " + strings.Join(unique(words), " ")
}

// list prints lines, on a terminal broken between words.
func (a *app) list(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	a.talk("%s:", heading)
	_, tty := terminal(a.err)
	for _, l := range lines {
		if tty {
			l = strings.Join(spec.Wrap(l, a.width(a.err)-5), "\n    ")
		}
		a.talk("  %s", l)
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
