package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/executor/lease"
	"pleat/planner"
	"pleat/spec"
)

// overrides are the words of --override-window, WINDOW=REASON.
func overrides(words []string) []planner.Override {
	var out []planner.Override
	for _, word := range words {
		name, reason, _ := strings.Cut(word, "=")
		by := "somebody"
		if who, err := lease.Self(""); err == nil {
			by = who.Who + " on " + who.Host
		}
		out = append(out, planner.Override{Window: strings.TrimPrefix(name, "window."), Reason: strings.TrimSpace(reason), By: by})
	}
	return out
}

// overridable refuses overrides of what is no window, and those without a reason.
func overridable(sp *spec.Spec, all []planner.Override) error {
	var names []string
	for _, w := range sp.Windows {
		names = append(names, w.Name)
	}
	for _, o := range all {
		if !slices.Contains(names, o.Window) {
			return &usageError{fmt.Errorf("--override-window %s: there is no such window.%s", o.Window, spec.DidYouMean(o.Window, names))}
		}
		if o.Reason == "" {
			return &usageError{fmt.Errorf("--override-window %s: write it as %s=REASON", o.Window, o.Window)}
		}
	}
	return nil
}

// windowLines say until when a window is open or closed, once where that is so for
// all steps.
func windowLines(w *spec.Window, now time.Time) []string {
	schema, rollouts := windowLine(w.For(spec.SchemaSteps), now), windowLine(w.For(spec.RolloutSteps), now)
	if schema == rollouts {
		return []string{schema}
	}
	return []string{"schema: " + schema, "rollouts: " + rollouts}
}

func windowLine(w *spec.Window, now time.Time) string {
	open, until, reason := w.Open(now)
	text := "closed until "
	if open {
		text = "open until "
	}
	if until.IsZero() {
		text = strings.TrimSuffix(text, " until ")
	} else {
		text += w.When(until, now)
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}
