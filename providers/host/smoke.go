package host

import (
	"context"
	"fmt"
	"strings"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/spec"
)

// SmokeError is an instance that did not answer a question well.
type SmokeError struct {
	Ref      api.Ref
	Host     string
	Question string
	Reason   string
	Output   []string // the last lines of a program
}

// Error is one line: who, where, what was asked and what came of it.
func (e *SmokeError) Error() string {
	return fmt.Sprintf("%s on %s: smoke %s: %s", e.Ref, e.Host, e.Question, e.Reason)
}

// Detail is what a program wrote last, "" when it wrote nothing.
func (e *SmokeError) Detail() string { return strings.Join(e.Output, "\n") }

// smoke asks one instance after the other: what fails is about one of them.
func (c *call) smoke(ctx context.Context, a *planner.Smoke) error {
	_, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	defer c.report(planner.Waiting{})
	for _, i := range a.Instances {
		r := api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}
		for _, check := range a.Checks {
			c.report(planner.Waiting{For: fmt.Sprintf("%s of %s", question(check), i.Instance)})
			answer, err := hosts[i.Host].Ask(c.traced(ctx), r, api.Ask{Check: check})
			if err != nil {
				return fmt.Errorf("asking %s on %s: %w", r, i.Host, err)
			}
			if answer.Error != "" {
				return &SmokeError{Ref: r, Host: i.Host, Question: question(check), Reason: c.options.Redact(answer.Error), Output: c.redactAll(answer.Output)}
			}
		}
	}
	return nil
}

func (c *call) redactAll(lines []string) []string {
	out := make([]string, len(lines))
	for n, line := range lines {
		out[n] = c.options.Redact(line)
	}
	return out
}

// question is a check as its author reads it: "GET /smoke", "bin/smoke -all".
func question(c *spec.Check) string {
	switch c.Kind {
	case spec.CheckHTTP:
		return "GET " + c.Path
	case spec.CheckExec:
		return strings.Join(c.Command, " ")
	}
	return string(c.Kind)
}
