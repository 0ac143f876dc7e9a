package migrations

import (
	"cmp"
	"fmt"
	"slices"

	"pleat/spec"
)

type addEnumValue struct {
	plain
	*spec.AddEnumValue
}

func (o addEnumValue) rank() int { return rankValue }

func (o addEnumValue) form() any { return []any{o.Enum, o.Value, o.Before, o.After} }

// expand is one unit a value: in the transaction that adds it, Postgres lets
// nobody use it (55P04). The undo leaves it, as there is none, and the value is
// found there by the next expand.
func (o addEnumValue) expand(l *lowering) bool {
	values := l.enum(o.Enum, o.Range)
	if values == nil {
		return true
	}
	beside := o.beside()
	if beside != "" && len(values) > 0 && !slices.Contains(values, beside) {
		l.unknownEnumValue(o.Range, o.Enum, beside, values)
		return true
	}
	u := Unit{
		ID: "value." + o.Enum.String() + "." + o.Value, Title: "value " + o.Value + " of enum " + o.Enum.String(), Mode: InTransaction,
		Statements: []string{o.statement()},
		Undo:       []string{}, UndoTitle: "may stay: nobody uses it", Stays: true,
		Applied: slices.Contains(l.live.Enum(o.Enum), o.Value), Visible: true, Source: o.Range,
	}
	l.program.Expand = append(l.program.Expand, missingUnless(u, u.Title))
	o.put(l, values)
	return true
}

// beside is the value that says where the other one is put; "" for the end.
func (o addEnumValue) beside() string { return cmp.Or(o.Before, o.After) }

func (o addEnumValue) statement() string {
	sql := fmt.Sprintf("ALTER TYPE %s ADD VALUE IF NOT EXISTS %s", tableIdent(o.Enum), Literal(o.Value))
	switch {
	case o.Before != "":
		sql += " BEFORE " + Literal(o.Before)
	case o.After != "":
		sql += " AFTER " + Literal(o.After)
	}
	return sql
}

func (o addEnumValue) put(l *lowering, values []string) {
	if slices.Contains(values, o.Value) {
		return
	}
	place := len(values)
	if i := slices.Index(values, o.beside()); i >= 0 && o.Before != "" {
		place = i
	} else if i >= 0 {
		place = i + 1
	}
	l.next.setEnum(o.Enum, slices.Insert(slices.Clone(values), place, o.Value))
}

func (o addEnumValue) unexpand(l *lowering) {
	if values := l.next.Enum(o.Enum); values != nil {
		l.next.setEnum(o.Enum, slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == o.Value }))
	}
}
