package executor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/executor/journal"
	"pleat/planner"
)

// hear is how often a step that waits for a person's word looks for it.
const hear = 500 * time.Millisecond

// DeclinedError is a person's no.
type DeclinedError struct{ Word journal.Word }

// Error is who said no, and why.
func (e *DeclinedError) Error() string { return "declined by " + e.Word.String() }

// silence is that nobody said anything in time, or that a window closed, where that
// only puts the rest off.
type silence struct {
	why    string
	partly bool // the step has come some way, and goes on with a later run
}

func (e *silence) Error() string { return e.why }

// decide waits for a person's word. What was said before the step began counts
// for nothing: it was about another attempt. Words that cannot be read may be any,
// and are asked for again; where they cannot be read to the end, nobody knows.
func (r *run) decide(ctx context.Context, s planner.Step, a *planner.Approve) error {
	end := r.Now().Add(a.Timeout)
	text := fmt.Sprintf("approval until %s: pleat approve %d", end.UTC().Format("2006-01-02 15:04 MST"), r.number[s.ID])
	r.report(ctx, s, planner.Waiting{For: text})
	defer r.report(ctx, s, planner.Waiting{})
	seen, deaf := int64(0), false
	for {
		words, began, err := r.said(ctx, s, seen)
		if err != nil && !deaf && ctx.Err() == nil {
			r.warn(ctx, s, "what was said cannot be read, and is asked for again: "+firstLine(err))
		}
		deaf = err != nil
		for _, w := range words {
			seen = w.Seq
			if w.Step != s.ID || w.At.Before(began) {
				continue
			}
			if !a.May(w.Role) {
				r.warn(ctx, s, fmt.Sprintf("the word of %s does not count: it is asked of %s", w, strings.Join(a.From, ", ")))
				continue
			}
			if w.Word == journal.Decline {
				return &DeclinedError{w}
			}
			return nil
		}
		if !r.Now().Before(end) {
			if deaf {
				return r.unrecorded(err)
			}
			return late(a)
		}
		if !r.pause(ctx, min(hear, end.Sub(r.Now()))) {
			return fmt.Errorf("waiting for approval: %w", context.Canceled)
		}
	}
}

// said are the words after that one, and when the step began that they may be for.
func (r *run) said(ctx context.Context, s planner.Step, after int64) (words []journal.Word, began time.Time, err error) {
	if words, err = r.Journal.Words(ctx, r.Ticket.Run, after); err != nil || len(words) == 0 {
		return nil, began, err
	}
	if began, err = r.begunAt(ctx, s); err != nil {
		return nil, began, err
	}
	return words, began, nil
}

func late(a *planner.Approve) error {
	why := fmt.Sprintf("nobody approved within %s", a.Timeout)
	if a.Defer {
		return &silence{why: why}
	}
	return fmt.Errorf("%s", why)
}

// begunAt is when the step's latest attempt began, by the server's clock.
func (r *run) begunAt(ctx context.Context, s planner.Step) (time.Time, error) {
	entries, err := r.Journal.Entries(ctx, r.Ticket.Run)
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range slices.Backward(entries) {
		if e.Step == s.ID && StepStatus(e.Status) == StepStarted {
			return e.At, nil
		}
	}
	return time.Time{}, fmt.Errorf("the journal does not have that %s was begun", s.ID)
}
