package migrations

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

type createTable struct {
	plain
	*spec.CreateTable
}

func (o createTable) form() any {
	c := *o.CreateTable
	c.Range = hcl.Range{}
	return c
}

func (o createTable) unexpand(l *lowering) { delete(l.next.Tables, o.Table.String()) }

func (o createTable) expand(l *lowering) bool {
	for _, c := range o.Columns {
		l.checkColumn(c, o.Range)
	}
	u := Unit{
		ID:         "create." + o.Table.String(),
		Title:      "table " + o.Table.String(),
		Mode:       InTransaction,
		Statements: []string{createTableSQL(o.CreateTable)},
		Undo:       []string{"DROP TABLE IF EXISTS " + tableIdent(o.Table)},
		UndoLock:   AccessExclusive,
		UndoTitle:  "drop table",
		Loses:      "every row of " + o.Table.String(),
		Applied:    l.live.Table(o.Table) != nil,
		Visible:    true,
		Source:     o.Range,
	}
	if !u.Applied {
		u.missing = []string{u.Title}
	}
	l.program.Expand = append(l.program.Expand, u)
	if l.next.Table(o.Table) == nil {
		l.next.Tables[o.Table.String()] = tableOf(o.CreateTable)
	}
	return true
}

func createTableSQL(o *spec.CreateTable) string {
	parts := make([]string, 0, len(o.Columns)+1)
	for _, c := range o.Columns {
		parts = append(parts, columnSQL(c))
	}
	if len(o.PrimaryKey) > 0 {
		parts = append(parts, "PRIMARY KEY ("+identList(o.PrimaryKey)+")")
	}
	return fmt.Sprintf("CREATE TABLE %s (\n  %s\n)", tableIdent(o.Table), strings.Join(parts, ",\n  "))
}
