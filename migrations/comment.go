package migrations

import (
	"fmt"

	"pleat/spec"
)

type commentOn struct {
	plain
	*spec.CommentOn
}

func (o commentOn) rank() int { return rankConstraint }

func (o commentOn) form() any { return []any{o.Table, o.Column, o.Comment} }

func (o commentOn) statement(comment string) string {
	if o.Column == "" {
		return fmt.Sprintf("COMMENT ON TABLE %s IS %s", tableIdent(o.Table), commentLiteral(comment))
	}
	return columnComment(o.Table, o.Column, comment)
}

func columnComment(t spec.Table, column, comment string) string {
	return fmt.Sprintf("COMMENT ON COLUMN %s.%s IS %s", tableIdent(t), Ident(column), commentLiteral(comment))
}

// place is where a table has the comment; nil where there is no such column.
func (o commentOn) place(t *Table) *string {
	if t == nil || o.Column == "" && t.whole() {
		return nil
	}
	if o.Column == "" {
		return &t.Comment
	}
	if c := t.Column(o.Column); c != nil {
		return &c.Comment
	}
	return nil
}

func (o commentOn) subject() string {
	if o.Column == "" {
		return o.Table.String()
	}
	return o.Table.String() + "." + o.Column
}

// expand leaves a former comment to the run that replaces it: afterwards no
// catalog has it.
func (o commentOn) expand(l *lowering) bool {
	if o.Column != "" && l.column(o.Table, o.Column, o.Range) == nil || l.table(o.Table, o.Range) == nil {
		return true
	}
	former := ""
	if live := o.place(l.live.Table(o.Table)); live != nil {
		former = *live
	}
	u := Unit{
		ID: "comment." + o.subject(), Title: "comment on " + o.subject(), Mode: InTransaction,
		Table: o.Table, Lock: ShareUpdateExclusive, UndoLock: ShareUpdateExclusive,
		Statements: []string{o.statement(o.Comment)}, Undo: []string{o.statement(former)}, UndoTitle: "put the former comment back",
		Applied: former == o.Comment, Visible: true, Source: o.Range,
	}
	if u.Applied {
		u.ByRecord = u.ID
		u.all = &reverse{statements: []string{o.statement("")}, loses: "the comment that was there before"}
	}
	if !u.Applied {
		u.missing = []string{u.Title}
	}
	l.program.Expand = append(l.program.Expand, u)
	o.put(l, o.Comment)
	return true
}

func (o commentOn) unexpand(l *lowering) {
	if place := o.place(l.next.Table(o.Table)); place != nil && *place == o.Comment {
		*place = ""
	}
}

func (o commentOn) put(l *lowering, comment string) {
	if place := o.place(l.next.Table(o.Table)); place != nil {
		*place = comment
	}
}
