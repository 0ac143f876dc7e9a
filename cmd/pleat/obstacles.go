package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pleat/planner"
)

// unobstructed refuses, before anything is begun, a plan that rights, room or
// replication are in the way of: all of it at once, each with what to do. It
// looks again: a saved plan was made a while ago, and maybe by another role.
func (w *world) unobstructed(ctx context.Context, plan *planner.Plan, allow []string) error {
	st, err := w.observe(ctx, plan.Scope)
	if err != nil {
		return err
	}
	var lines, codes []string
	for _, o := range planner.Obstacles(plan, st) {
		if o.Allowed && slices.Contains(allow, o.Code) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s\n    %s", o.Code, o.Text, o.Do))
		if o.Allowed {
			codes = append(codes, o.Code)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	next := ""
	if len(codes) == len(lines) {
		next = "the same command; or, to begin all the same, with --allow-hazards " + strings.Join(unique(codes), ",")
	}
	return &codeError{exitBlocked, fmt.Errorf("in the way, and nothing was begun:\n  %s", strings.Join(lines, "\n  ")), next}
}
