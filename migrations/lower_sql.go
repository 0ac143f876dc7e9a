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
	l.program.Expand = append(l.program.Expand, l.sql("expand", o.SQL))
	return true
}

func (o sqlOperation) contract(l *lowering, _ int) bool {
	u := l.sql("contract", o.SQL)
	u.Drops = []string{"sql." + o.Label}
	l.program.Drop = append(l.program.Drop, u)
	return true
}

// sql takes the author's statements as they are. No catalog shows what they
// did, so their ID holds their text: other text is another unit.
func (l *lowering) sql(block string, o *spec.SQL) Unit {
	for _, code := range UnknownHazards(o.Allow) {
		l.problem(o.Range, "Unknown hazard", fmt.Sprintf("There is no hazard %q to allow. `pleat explain` lists them.", code))
	}
	texts, does := l.sqlStatements("sql "+o.Label, o.Up, o)
	u := Unit{
		ID:         fmt.Sprintf("%s.sql.%s.%s", block, o.Label, mark(o.Up)[:8]),
		Title:      "sql " + o.Label,
		Mode:       InTransaction,
		Statements: texts,
		Author:     does,
		Hazards:    does.Hazards,
		Source:     o.Range,
	}
	if o.Down != "" {
		texts, does := l.sqlStatements("down of sql "+o.Label, o.Down, o)
		u.Undo = texts
		u.UndoTitle = "run its down"
		u.Loses = "what its down takes away"
		u.UndoHazards = does.Hazards
	}
	return u
}

func (l *lowering) sqlStatements(what, sql string, o *spec.SQL) ([]string, AuthorSQL) {
	all, err := hazard.Read(sql, hazard.Options{InTransaction: true})
	if err != nil {
		l.problem(o.Range, "Invalid SQL", fmt.Sprintf("The statements cannot be told apart: %v.", err))
	}
	texts := make([]string, 0, len(all))
	for _, s := range all {
		if s.EndsTransaction {
			l.problem(o.Range, "Transaction control in sql", fmt.Sprintf(
				"%.40q would end the transaction that also records the step. Leave BEGIN and COMMIT to pleat.", s.Text))
		}
		if s.Alone {
			l.problem(o.Range, "Not supported here yet", fmt.Sprintf(
				"%.40q cannot run in the step's transaction. Indexes are built and dropped concurrently by create_index and drop_index; "+
					"a file of a migrations directory may hold what cannot be in a transaction.", s.Text))
		}
		texts = append(texts, s.Text)
	}
	return texts, authorSQL(all, what, o.Allow)
}
