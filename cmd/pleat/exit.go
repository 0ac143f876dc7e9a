package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/executor"
	"pleat/executor/lease"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// The exit codes: a script decides on them, so they never change.
const (
	exitDone        = 0
	exitError       = 1
	exitChanges     = 2
	exitRolledBack  = 3
	exitLook        = 4
	exitStale       = 5
	exitBlocked     = 6
	exitLocked      = 7
	exitDeclined    = 8
	exitInterrupted = 130
)

// helpWidth is how wide help is printed, whatever the terminal.
const helpWidth = 80

// exitHelp is the part of a verb's help that lists its codes.
func exitHelp(codes ...string) string {
	const indent = "\n    "
	text := "\nExit status:"
	for _, c := range codes {
		text += "\n  " + strings.Join(spec.Wrap(c, helpWidth-len(indent)), indent)
	}
	return text
}

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// diagnosticsError carries everything wrong with what the author wrote.
type diagnosticsError struct{ diags hcl.Diagnostics }

func (e *diagnosticsError) Error() string { return e.diags.Error() }

// codeError ends pleat with that code. Without an error there is nothing more
// to say.
type codeError struct {
	code int
	err  error
	next string // the next command to type
}

func (e *codeError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// report prints what a verb ended with and gives its exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	code := codeOf(err)
	if a.json {
		a.reportJSON(code, err)
		return code
	}
	var diags *diagnosticsError
	if errors.As(err, &diags) {
		a.warn(diags.diags)
		return code
	}
	if err.Error() != "" {
		a.talk("Error: %s", err)
	}
	advice := adviceIn(err)
	for _, d := range advice.details {
		a.talk("  %s", strings.ReplaceAll(a.redact(d), "\n", "\n  "))
	}
	for _, h := range advice.hints {
		a.talk("Hint: %s", h)
	}
	for _, n := range advice.next {
		a.talk("Next: %s", n)
	}
	return code
}

// jsonError is how an end looks to a machine: the last line of the output.
type jsonError struct {
	Exit        int                   `json:"exit"`
	Error       string                `json:"error,omitempty"`
	Details     []string              `json:"details,omitempty"`
	Hints       []string              `json:"hints,omitempty"`
	Next        []string              `json:"next,omitempty"`
	Diagnostics []spec.JSONDiagnostic `json:"diagnostics,omitempty"`
	Summary     *executor.Summary     `json:"summary,omitempty"` // of a run
}

func (a *app) reportJSON(code int, err error) {
	advice := adviceIn(err)
	out := jsonError{Exit: code, Error: err.Error(), Hints: advice.hints, Next: advice.next}
	for _, d := range advice.details {
		out.Details = append(out.Details, a.redact(d))
	}
	var diags *diagnosticsError
	if errors.As(err, &diags) {
		out.Error, out.Diagnostics = "", spec.DiagnosticsJSON(a.sources, diags.diags)
	}
	var run *runError
	if errors.As(err, &run) {
		out.Summary = &run.summary
	}
	a.jsonLine(out)
}

// codeOf is the one place where errors become exit codes.
func codeOf(err error) int {
	var code *codeError
	var held *lease.HeldError
	var fenced *conn.FencedError
	var unrecorded *executor.RecordError
	var back *executor.GoneBackError
	var stands *executor.NoWayBackError
	var corrupt *planner.CorruptError
	var foreign *planner.ForeignError
	var diags *diagnosticsError
	switch {
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &held):
		return exitLocked
	case errors.As(err, &corrupt), errors.As(err, &foreign):
		return exitStale
	case errors.Is(err, planner.ErrOutcomeUnknown), errors.Is(err, lease.ErrLost),
		errors.As(err, &fenced), errors.As(err, &unrecorded) && unrecorded.Written, errors.As(err, &back),
		errors.As(err, &stands) && stands.Run != "":
		return exitLook
	case errors.As(err, &diags) && onHold(diags.diags):
		return exitBlocked
	}
	return exitError
}

// onHold tells whether holds are all that is wrong.
func onHold(diags hcl.Diagnostics) bool {
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Summary != planner.HeldSummary {
			return false
		}
	}
	return true
}

// stale is the error of a plan that was made for another state.
func stale(changed []string) error {
	return &codeError{
		code: exitStale,
		err:  fmt.Errorf("the plan is stale: what it was made for has changed\n  %s", strings.Join(changed, "\n  ")),
		next: "pleat plan, and have the new plan reviewed",
	}
}
