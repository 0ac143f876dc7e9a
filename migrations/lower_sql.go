package migrations

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

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
	u := Unit{
		ID:         fmt.Sprintf("%s.sql.%s.%s", block, o.Label, mark(o.Up)[:8]),
		Title:      "sql " + o.Label,
		Mode:       InTransaction,
		Statements: l.sqlStatements(o.Up, o.Range),
		Hazards:    []Hazard{Unclassified("sql " + o.Label)},
		Source:     o.Range,
	}
	if o.Down != "" {
		u.Undo = l.sqlStatements(o.Down, o.Range)
		u.UndoTitle = "run its down"
		u.Loses = "what its down takes away"
	}
	return u
}

// Unclassified is the hazard of statements that an author wrote and that run as
// they are; what names them.
func Unclassified(what string) Hazard {
	return Hazard{Code: "unclassified_sql", Text: "pleat does not know what " + what + " locks, rewrites or breaks"}
}

func (l *lowering) sqlStatements(sql string, at hcl.Range) []string {
	all, err := statements(sql)
	if err != nil {
		l.problem(at, "Invalid SQL", fmt.Sprintf("The statements cannot be told apart: %v.", err))
	}
	texts := make([]string, 0, len(all))
	for _, s := range all {
		if s.endsTransaction() {
			l.problem(at, "Transaction control in sql", fmt.Sprintf(
				"%.40q would end the transaction that also records the step. Leave BEGIN and COMMIT to pleat.", s.text))
		}
		if what := s.outsideTransaction(); what != "" {
			l.problem(at, "Not supported here yet", fmt.Sprintf(
				"%s cannot run in the step's transaction. Indexes are built and dropped concurrently by create_index and drop_index; "+
					"the rest is not supported here yet.", what))
		}
		texts = append(texts, s.text)
	}
	return texts
}
