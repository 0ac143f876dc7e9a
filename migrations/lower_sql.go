package migrations

import (
	"fmt"

	"pleat/migrations/hazard"
	"pleat/spec"
)

type sqlOperation struct {
	plain
	*spec.SQL
}

func (o sqlOperation) rank() int { return rankAuthor }

func (o sqlOperation) form() any { return []any{o.Label, o.Up, o.Down} }

func (o sqlOperation) expand(l *lowering) bool {
	u := l.sql("expand", o.SQL)
	u.refused = l.besideViews(o.SQL, false)
	l.program.Expand = append(l.program.Expand, u)
	return true
}

func (o sqlOperation) contract(l *lowering, _ int) bool {
	u := l.sql("contract", o.SQL)
	u.refused = l.besideViews(o.SQL, true)
	u.Drops, u.Verb = []string{"sql." + o.Label}, "run"
	l.program.Drop = append(l.program.Drop, u)
	return true
}

// sql takes the author's statements as they are. No catalog shows what they
// did, so their ID holds their text: other text is another unit.
func (l *lowering) sql(block string, o *spec.SQL) Unit {
	for _, code := range UnknownHazards(o.Allow) {
		l.problem(o.Range, "Unknown hazard", fmt.Sprintf("There is no hazard %q to allow in SQL. `pleat explain` lists them.", code))
	}
	up := l.script("sql "+o.Label, o.Up, o)
	u := Unit{
		ID:         fmt.Sprintf("%s.sql.%s.%s", block, o.Label, mark(o.Up)[:8]),
		Title:      "sql " + o.Label,
		Mode:       up.mode,
		Statements: up.texts,
		Author:     up.does,
		Hazards:    up.does.Hazards,
		Source:     o.Range,
	}
	if o.Down != "" {
		down := l.script("down of sql "+o.Label, o.Down, o)
		u.Undo, u.UndoMode = down.texts, down.mode
		u.UndoTitle = "run its down"
		u.Loses = "what its down takes away"
		u.UndoHazards = down.does.Hazards
	}
	return u
}

// script is an author's statements and how they reach the server.
type script struct {
	mode  Mode
	texts []string
	does  AuthorSQL
}

// script reads statements that share a transaction, or one that allows none.
func (l *lowering) script(what, sql string, o *spec.SQL) script {
	all, err := hazard.Read(sql, hazard.Options{InTransaction: true})
	if err == nil && len(all) == 1 && all[0].Alone {
		return l.alone(what, sql, o)
	}
	if err != nil {
		l.problem(o.Range, "Invalid SQL", fmt.Sprintf("The statements cannot be told apart: %v.", err))
	}
	r := script{mode: InTransaction, texts: make([]string, 0, len(all)), does: authorSQL(all, what, o.Allow)}
	for _, s := range all {
		if s.EndsTransaction {
			l.problem(o.Range, "Transaction control in sql", fmt.Sprintf(
				"%.40q would end the transaction that also records the step. Leave BEGIN and COMMIT to pleat.", s.Text))
		}
		if s.Alone {
			l.problem(o.Range, "Statement that allows no transaction", fmt.Sprintf(
				"%.40q cannot share a transaction with the others of its block. Give it a block `sql` of its own.", s.Text))
		}
		r.texts = append(r.texts, s.Text)
	}
	return r
}

// alone refuses what nobody could tell the outcome of once a connection was
// lost.
func (l *lowering) alone(what, sql string, o *spec.SQL) script {
	all, err := hazard.Read(sql, hazard.Options{})
	if err != nil {
		l.problem(o.Range, "Invalid SQL", fmt.Sprintf("The statement cannot be read: %v.", err))
		return script{}
	}
	s, err := AloneStatement(sql)
	if err != nil || !s.Effect.Settles() {
		l.problem(o.Range, "Statement whose outcome could be unknown", fmt.Sprintf(
			"%.40q allows no transaction, and no catalog shows whether it took effect when the connection is lost. A file of a `migrations` "+
				"directory may have it: a person settles it there with `pleat migrations force`.", all[0].Text))
	}
	return script{mode: Alone, texts: []string{all[0].Text}, does: authorSQL(all, what, o.Allow)}
}
