package spec

import (
	"maps"
	"slices"
)

// shorthands are blocks of a change that stand for several operations. Each
// reader adds what its block means, so that everything after loading sees the
// operations alone.
var shorthands = map[string]func(*shorthand){
	"change_type":   (*shorthand).changeType,
	"rename_column": (*shorthand).renameColumn,
	"rename_table":  (*shorthand).renameTable,
	"split_column":  (*shorthand).splitColumn,
	"merge_columns": (*shorthand).mergeColumns,
	"replace_index": (*shorthand).replaceIndex,
}

// shorthand is one such block in its change.
type shorthand struct {
	*loader
	*node
	change *Change
}

// shorthand adds what the shorthands of a change stand for, in the order of the
// file. Back-fills and the contract were not read yet.
func (l *loader) shorthand(n *node, c *Change) {
	for _, child := range n.children {
		if read := shorthands[child.syntax.Type]; read != nil {
			read(&shorthand{loader: l, node: child, change: c})
		}
	}
}

// changeType adds a column of the other type, which takes over the name.
func (s *shorthand) changeType() {
	table, column := s.tableLabel(0), s.labels[1]
	s.node.problems.identifierAt(s.labelRange(1), column)
	by := NewPrefix + column
	if reason := identifierProblem(by); reason != "" {
		s.node.problems.add(s.labelRange(1), "Name too long", "Until it takes over the name, the new column is called %s, and %s.", quote(by), reason)
		return
	}
	kind := s.str("type")
	using, back := s.str("using"), s.str("back")
	if using == "" {
		using = "CAST(" + quotedName(column) + " AS " + kind + ")"
	}
	if back == "" {
		back = quotedName(column) // assigned as it is: only the catalog knows the old type
	}
	s.expand(&AddColumn{Table: table, Column: Column{Name: by, Type: kind, At: s.places("type")}, Range: s.rng()})
	s.sync(table, map[string]string{by: using}, map[string]string{column: RenameColumns(back, map[string]string{column: by})},
		Places{"forward." + by: s.node.at("using"), "backward." + column: s.node.at("back")})
	s.contract(&ReplaceColumn{
		Table: table, Column: column, By: by, Type: kind, Default: s.str("default"), Hide: s.duration("hide"), Range: s.rng(),
	})
}

// renameColumn adds a column like the other, which ends in contract, or a view.
func (s *shorthand) renameColumn() {
	table, column := s.columnLabels()
	to := s.str("to")
	if !s.node.problems.identifierAt(s.node.at("to"), to) {
		return
	}
	if to == column {
		s.node.problems.add(s.node.at("to"), "Same name", "The column is called %s already.", quote(to))
		return
	}
	if s.byView() {
		s.view(table).Columns[column] = to
		return
	}
	s.expand(&AddColumn{Table: table, Column: Column{Name: to}, Like: column, Range: s.rng()})
	s.sync(table, map[string]string{to: quotedName(column)}, map[string]string{column: quotedName(to)}, nil)
	s.contract(&ReplaceColumn{Table: table, Column: column, By: to, Keep: true, Hide: s.duration("hide"), Range: s.rng()})
}

func (s *shorthand) renameTable() {
	renamed := &RenameTable{Table: s.tableLabel(0), To: s.str("to"), Range: s.rng()}
	if !s.node.problems.identifierAt(s.node.at("to"), renamed.To) {
		return
	}
	if renamed.To == renamed.Table.Name {
		s.node.problems.add(s.node.at("to"), "Same name", "The table is called %s already.", quote(renamed.To))
		return
	}
	if s.byView() {
		s.view(renamed.Table).To = renamed.To
		return
	}
	s.expand(renamed)
	s.contract(&RetireName{Table: renamed.Table, Of: renamed.Renamed(), Hide: s.duration("hide"), Range: s.rng()})
}

func (s *shorthand) splitColumn() {
	table, column := s.columnLabels()
	forward, at := map[string]string{}, Places{"backward." + column: s.node.at("back")}
	for _, n := range s.blocks("into") {
		added := &AddColumn{Table: table, Column: n.computed(n.labels[0], 0), Range: n.rng()}
		s.operationNodes[added] = n
		s.change.Expand = append(s.change.Expand, added)
		forward[added.Column.Name] = n.str("using")
		at["forward."+added.Column.Name] = n.at("using")
	}
	s.sync(table, forward, map[string]string{column: s.str("back")}, at)
	s.contract(&DropColumn{Table: table, Column: column, Hide: s.duration("hide"), Range: s.rng()})
}

func (s *shorthand) mergeColumns() {
	table := s.tableLabel(0)
	added := s.computed(s.labels[1], 1)
	back := s.columns("back")
	s.expand(&AddColumn{Table: table, Column: added, Range: s.rng()})
	at := Places{"forward." + added.Name: s.node.at("using")}
	for name := range back {
		at["backward."+name] = s.atKey("back", name)
	}
	s.sync(table, map[string]string{added.Name: s.str("using")}, back, at)
	for _, column := range sortedKeys(back) {
		s.contract(&DropColumn{Table: table, Column: column, Hide: s.duration("hide"), Range: s.rng()})
	}
}

func (s *shorthand) replaceIndex() {
	replaced := &ReplaceIndex{Index: createIndex(s.node), Hide: s.duration("hide"), Range: s.rng()}
	s.expand(replaced)
	s.contract(replaced)
}

// computed is a new column that a sync fills, so that it has no default.
func (n *node) computed(name string, label int) Column {
	n.problems.identifierAt(n.labelRange(label), name)
	return Column{Name: name, Type: n.str("type"), NotNull: !n.flag("null"), Collate: n.str("collate"), Comment: n.str("comment"), At: n.places("type", "collate")}
}

func (s *shorthand) expand(o Operation) {
	s.operationNodes[o] = s.node
	s.change.Expand = append(s.change.Expand, o)
}

// contract leaves the soak to the contract block, which may be there or not.
func (s *shorthand) contract(o Operation) {
	s.operationNodes[o] = s.node
	s.change.Contract.Operations = append(s.change.Contract.Operations, o)
}

// sync puts both directions into the one trigger that a table can have, and
// has its rows filled.
func (s *shorthand) sync(t Table, forward, backward map[string]string, at Places) {
	o := syncOf(s.change, t)
	if o == nil {
		o = &Sync{Table: t, Forward: map[string]string{}, Backward: map[string]string{}, Range: s.rng(), At: Places{}}
		s.expand(o)
	}
	maps.Copy(o.Forward, forward)
	maps.Copy(o.Backward, backward)
	maps.Copy(o.At, at)
	if !slices.Contains(s.filled[s.change], t) {
		s.filled[s.change] = append(s.filled[s.change], t)
	}
}
