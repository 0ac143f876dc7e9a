package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pleat/planner"
	"pleat/spec"
)

// losses refuses to take back a change whose loss was not acknowledged by
// name, and counts what would be lost.
func (w *world) losses(ctx context.Context, plan *planner.Plan, acknowledged []string) error {
	var lines, missing []string
	for _, s := range plan.Steps {
		for _, h := range s.Hazards {
			name := strings.TrimPrefix(string(s.Address), "change.")
			if h.Code != "data_loss" || slices.Contains(acknowledged, name) || slices.Contains(acknowledged, string(s.Address)) {
				continue
			}
			lines = append(lines, fmt.Sprintf("%s: loses %s", s.Address, h.Text))
			missing = append(missing, name)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	missing = unique(missing)
	counted, err := w.count(ctx, missing)
	if err != nil {
		return err
	}
	return &codeError{
		exitBlocked, fmt.Errorf("taking this back loses data:\n  %s", strings.Join(append(lines, counted...), "\n  ")),
		"the same command with --acknowledge " + strings.Join(missing, ","),
	}
}

// count says how much is in what the expand of changes made.
func (w *world) count(ctx context.Context, changes []string) ([]string, error) {
	var out []string
	for _, c := range w.spec.Changes {
		if !slices.Contains(changes, c.Name) {
			continue
		}
		for _, m := range made(c) {
			n, err := w.databases[c.Database.Name].Count(ctx, m.table, m.columns)
			if err != nil {
				return nil, err
			}
			if len(m.columns) == 0 {
				out = append(out, fmt.Sprintf("%s has %s", m.table, countedIn(n.Rows, "row")))
			}
			for i, column := range m.columns {
				out = append(out, fmt.Sprintf("%s.%s has %s", m.table, column, countedIn(n.Values[i], "non-null value")))
			}
		}
	}
	return out, nil
}

func countedIn(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}

// madeTable is what a change adds to a table: columns, or without any the
// table itself.
type madeTable struct {
	table   spec.Table
	columns []string
}

func made(c *spec.Change) []madeTable {
	var out []madeTable
	for _, op := range c.Expand {
		switch op := op.(type) {
		case *spec.CreateTable:
			out = append(out, madeTable{table: op.Table})
		case *spec.AddColumn:
			i := slices.IndexFunc(out, func(m madeTable) bool { return m.table == op.Table })
			if i < 0 {
				out = append(out, madeTable{op.Table, []string{op.Column.Name}})
				continue
			}
			if len(out[i].columns) > 0 {
				out[i].columns = append(out[i].columns, op.Column.Name)
			}
		}
	}
	return out
}
