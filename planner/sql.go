package planner

import (
	"fmt"
	"io"
	"strings"
)

// WriteSQL prints the statements of a plan's steps, each under a comment that
// names its step, its lock and its undo. It is for reading: run as a script it
// has none of the limits that make the plan safe.
func (p *Plan) WriteSQL(w io.Writer) error {
	var b strings.Builder
	for _, s := range p.Steps {
		statements := sqlOf(s.Action)
		if len(statements) == 0 {
			continue
		}
		fmt.Fprintf(&b, "-- %s %s", s.Kind, s.Title)
		if s.Lock != "" {
			fmt.Fprintf(&b, " (%s on %s)", s.Lock, s.Table)
		}
		if s.Deferred != "" {
			fmt.Fprintf(&b, ", deferred: %s", s.Deferred)
		}
		b.WriteString("\n" + script(statements) + "\n")
		if s.Undo != nil {
			for _, u := range sqlOf(s.Undo.Action) {
				b.WriteString("-- undo: " + strings.ReplaceAll(u, "\n", "\n--       ") + "\n")
			}
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// script is statements as they are run; "" for none.
func script(statements []string) string {
	if len(statements) == 0 {
		return ""
	}
	return strings.Join(statements, ";\n") + ";"
}

func sqlOf(a Action) []string {
	switch a := a.(type) {
	case *Transaction:
		return a.SQL
	case *BuildIndex:
		return append([]string{a.SQL}, a.Then...)
	case *RemoveIndex:
		return []string{a.SQL}
	case *RunAlone:
		return []string{a.SQL}
	case *Verify:
		return []string{a.SQL}
	}
	return nil
}
