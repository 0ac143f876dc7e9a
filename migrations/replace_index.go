package migrations

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// replaceIndex builds the other index under a name of its own, and swaps names
// once the releases are gone that do not know the change. The old one serves
// until it is dropped, so that the way back builds nothing.
type replaceIndex struct {
	plain
	*spec.ReplaceIndex
}

func (o replaceIndex) rank() int { return rankIndex }

func (o replaceIndex) form() any {
	c := *o.Index
	c.Range = hcl.Range{}
	return c
}

func (o replaceIndex) named(name string) spec.Table {
	return spec.Table{Schema: o.Index.Table.Schema, Name: name}
}

// own has a mark of the index in it, so that two replacements of one index do
// not take each other's for their own.
func (o replaceIndex) own(prefix string) string {
	return suffixed(prefix+o.Index.Name, "_"+mark(o.form())[:8])
}

// coming is what the other index is called until the swap, going what the old
// one is called from then on.
func (o replaceIndex) coming() spec.Table { return o.named(o.own(newPrefix)) }
func (o replaceIndex) going() spec.Table  { return o.named(o.own(hiddenPrefix)) }

// state is where the old index is on its way out. Once it is gone, the other one
// looks as the old one may have looked: gone is only that it can be so, and the
// record has to say whether it is.
func (o replaceIndex) state(t *Table) presence {
	i := t.index(o.Index.Name)
	switch {
	case t.index(o.going().Name) != nil:
		return hidden
	case t.index(o.coming().Name) == nil && i != nil && sameDefinition(i.Definition, indexOf(o.Index).Definition):
		return gone
	}
	return original
}

func (o replaceIndex) expand(l *lowering) bool {
	t := l.table(o.Index.Table, o.Range)
	if t == nil || !l.checkIndex(o.Index) || !o.check(l, t) {
		return true
	}
	built := *o.Index
	built.Name = o.coming().Name
	state := o.state(l.live.Table(o.Index.Table))
	for _, u := range (createIndex{CreateIndex: &built}).units(l, t, o.own("")) {
		switch state {
		case hidden:
			u.Applied, u.missing = true, nil
		case gone:
			u.Applied, u.Visible, u.missing = false, false, nil
		}
		u.passing = true
		l.program.Expand = append(l.program.Expand, u)
	}
	if state == original {
		l.askIndex(l.program.Expand[len(l.program.Expand)-1].ID, t, o.Index)
		if t.index(built.Name) == nil {
			t.Indexes = append(t.Indexes, indexOf(&built))
		}
	}
	return true
}

// check is about the old index.
func (o replaceIndex) check(l *lowering, t *Table) bool {
	index := o.named(o.Index.Name)
	if t.whole() || l.live.Former[index.String()] || o.state(l.live.Table(o.Index.Table)) == hidden {
		return true
	}
	i := t.index(o.Index.Name)
	if i == nil {
		l.problem(o.Range, "Unknown index", fmt.Sprintf("Table %s has no index %s to replace. A new one is made by create_index.", o.Index.Table, o.Index.Name))
		return false
	}
	return l.checkRemovable(o.Range, o.Index.Table, t, *i)
}

func (o replaceIndex) contract(l *lowering, _ int) bool {
	t := l.next.Table(o.Index.Table)
	if t == nil {
		return true // which expand says
	}
	table, index, coming, going := o.Index.Table, o.named(o.Index.Name), o.coming(), o.going()
	live := l.live.Table(table)
	state := o.state(live)
	swap := Unit{
		ID: "swap.index." + coming.String(), Title: fmt.Sprintf("index %s with %s", index, coming.Name), Mode: InTransaction,
		Table: table, Lock: ShareUpdateExclusive, UndoLock: ShareUpdateExclusive,
		Also: live.family(table, ShareUpdateExclusive), UndoAlso: live.family(table, ShareUpdateExclusive),
		Statements: []string{renameIndexSQL(index, going.Name), renameIndexSQL(coming, index.Name)},
		Undo:       []string{renameIndexSQL(index, coming.Name), renameIndexSQL(going, index.Name)}, UndoTitle: "swap back",
		Applied: state == hidden, Visible: state != gone, Verb: "swap", Source: o.Range,
	}
	drop := removal(table, live, going, o.former(live))
	drop.Title, drop.HideFor, drop.Source = "index "+index.String()+" as it was", o.Hide, o.Range
	drop.Applied, drop.Visible, drop.missing = false, state != gone, nil
	if drop.Mode == InTransaction {
		drop.Statements = append(slices.Clone(drop.Statements), namedParts(o.named(o.Index.Name), live, o.own("")))
	}
	l.program.Hide = append(l.program.Hide, swap)
	l.program.Drop = append(l.program.Drop, drop)
	return true
}

// former is the old index under the name that it is dropped by, as far as it is
// there.
func (o replaceIndex) former(t *Table) *Index {
	if i := t.index(o.going().Name); i != nil {
		return i
	}
	i := t.index(o.Index.Name)
	if i == nil {
		return nil
	}
	former := *i
	former.rename(o.going().Name)
	return &former
}

func (o replaceIndex) unexpand(l *lowering) { l.next.Table(o.Index.Table).removeIndex(o.coming().Name) }

// uncontract leaves open what an old index was that is gone.
func (o replaceIndex) uncontract(l *lowering) {
	t := l.next.Table(o.Index.Table)
	switch o.state(t) {
	case hidden:
		t.renameIndex(o.Index.Name, o.coming().Name)
		t.renameIndex(o.going().Name, o.Index.Name)
	case gone:
		t.index(o.Index.Name).Definition = ""
	}
}

func (o replaceIndex) takeAway(l *lowering, to Phase) {
	t := l.next.Table(o.Index.Table)
	t.renameIndex(o.Index.Name, o.going().Name)
	t.renameIndex(o.coming().Name, o.Index.Name)
	if to == Contracted {
		t.removeIndex(o.going().Name)
	}
}

// renameIndex is for an index that is no constraint's; also of a nil table.
func (t *Table) renameIndex(from, to string) {
	if i := t.index(from); i != nil {
		i.rename(to)
	}
}
