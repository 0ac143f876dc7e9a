package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"pleat/executor"
	"pleat/spec"
)

// gatesAsked lists what was asked before the first step, and has the living line
// say what is waited for.
func (w *watcher) gatesAsked(e executor.GatesAsked) {
	w.step = executor.StepChanged{}
	wide, missing := 0, []string{}
	for _, g := range e.Gates {
		wide = max(wide, utf8.RuneCountInString(string(g.Gate)))
		if g.Status == executor.GateMissing {
			missing = append(missing, string(g.Gate))
		}
	}
	heading := "Gates"
	if e.Until != nil {
		heading += ", asked again for " + e.Until.Sub(w.clock()).Round(time.Second).String()
	}
	w.say("%s:", heading)
	for _, g := range e.Gates {
		w.gate(g, wide)
	}
	if e.Until != nil {
		w.begin(executor.StepChanged{Step: "gates", Kind: "gate", Title: "before the first step"})
		w.waiting, w.since = strings.Join(missing, ", "), w.clock()
		return
	}
	w.say("")
}

// gate is one of the list: what it guards, and why it is not open.
func (w *watcher) gate(g executor.GateAnswer, wide int) {
	head := fmt.Sprintf("  %-*s  %-7s  ", wide, g.Gate, g.Status)
	text := strings.Join(g.For, ", ")
	if g.Reason != "" {
		text += ": " + firstLine(g.Reason)
	}
	lines := []string{text}
	if w.tty {
		lines = spec.Wrap(text, w.width()-1-utf8.RuneCountInString(head))
	}
	color := map[executor.GateStatus]string{executor.GateMissing: red, executor.GateSkipped: dim}[g.Status]
	for i, l := range lines {
		if i > 0 {
			head = strings.Repeat(" ", utf8.RuneCountInString(head))
		}
		w.say("%s%s", head, w.paint(color, l))
	}
}
