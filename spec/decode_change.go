package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func (l *loader) change(n *node, c *Change) {
	c.Database = l.databaseOf(n)
	c.After, l.afterAt[c] = referAll(n, "after", l.changes)
	c.Gates, _ = referAll(n, "gates", l.gates)
	c.Window, _ = refer(n, "window", l.windows)
	c.RequiresAbsent, _ = referAll(n, "requires_absent", l.releases)
	if e := n.block("expand"); e != nil {
		c.Expand = l.operations(e)
	}
	l.contract(n, c)
	for _, b := range n.blocks("backfill") {
		c.Backfills = append(c.Backfills, l.backfill(b, c))
	}
	l.fillSynced(n, c)
	if c.Expand == nil && c.Contract == nil && n.block("expand") == nil {
		l.add(n.rng(), "Empty change", "%s says nothing to do. It needs a block expand, a block contract, or one of %s.", n.title(), strings.Join(sortedKeys(shorthands), ", "))
	}
	l.fills(c, c.Expand, true)
	if c.Contract != nil {
		l.fills(c, c.Contract.Operations, false)
	}
}

// contract reads what the block says and what the shorthands add to it, which
// may be all there is.
func (l *loader) contract(n *node, c *Change) {
	k := n.block("contract")
	d := orDefaults(k, n, "contract")
	c.Contract = &Contract{Operations: l.operations(d), Soak: d.duration("soak"), Statements: d.flag("statements"), Range: d.rng()}
	c.Contract.Window, _ = refer(d, "window", l.windows)
	for _, q := range d.blocks("quiet") {
		c.Contract.Quiets = append(c.Contract.Quiets, l.quiet(q, c))
	}
	l.shorthand(n, c)
	if k == nil && len(c.Contract.Operations) == 0 {
		c.Contract = nil
	}
}

// fillSynced fills what the shorthands have synced, where the author says
// nothing of it.
func (l *loader) fillSynced(n *node, c *Change) {
	for _, t := range l.filled[c] {
		i := slices.IndexFunc(c.Backfills, func(b *Backfill) bool { return b.Table == t })
		if i < 0 {
			d := orDefaults(nil, n, "backfill")
			d.labels = []string{t.String()}
			c.Backfills = append(c.Backfills, l.backfill(d, c))
			continue
		}
		if l.backfillNodes[c.Backfills[i]].has("set") {
			set := maps.Clone(syncOf(c, t).Forward)
			maps.Copy(set, c.Backfills[i].Set)
			c.Backfills[i].Set = set
		}
	}
}

// databaseOf is the database that a change, service or directory of migrations
// names, or the only one.
func (l *loader) databaseOf(n *node) *Database {
	if n.has("database") {
		d, _ := refer(n, "database", l.databases)
		return d
	}
	d, ok := l.databases.only()
	if !ok && n.syntax.Type != "service" {
		l.add(n.rng(), "Missing database", "%s needs the argument database.%s", n.title(), existing(l.databases.names))
	}
	return d
}

// operations reads expand or contract in the order of the file.
func (l *loader) operations(n *node) []Operation {
	labels := sqlLabels(n.blocks("sql"))
	var list []Operation
	for _, c := range n.children {
		if c.syntax.Type == "quiet" {
			continue
		}
		o := operation(c, labels)
		if sql, ok := o.(*SQL); ok {
			sql.Window, _ = refer(c, "window", l.windows)
		}
		l.operationNodes[o] = c
		list = append(append(list, o), l.foreignKeys(c)...)
	}
	return list
}

// operationDecoders read the blocks of expand and contract, by their names.
// The block sql, which may have no label of its own, is read apart.
var operationDecoders = map[string]func(*node) Operation{
	"create_table": func(n *node) Operation { return createTable(n) },
	"add_column":   func(n *node) Operation { return addColumn(n) },
	"create_index": func(n *node) Operation { return createIndex(n) },
	"sync":         func(n *node) Operation { return sync(n) },
	"drop_column":  func(n *node) Operation { return dropColumn(n) },
	"drop_table":   func(n *node) Operation { return dropTable(n) },
	"drop_index":   func(n *node) Operation { return dropIndex(n) },

	"create_enum":       func(n *node) Operation { return createEnum(n) },
	"add_enum_value":    func(n *node) Operation { return addEnumValue(n) },
	"rename_enum_value": func(n *node) Operation { return renameEnumValue(n) },
	"drop_enum":         func(n *node) Operation { return dropEnum(n) },

	"attach_partition": func(n *node) Operation { return attachPartition(n) },
	"detach_partition": func(n *node) Operation { return detachPartition(n) },
	"create_partition": func(n *node) Operation { return createPartition(n) },

	"add_check":       func(n *node) Operation { return addCheck(n) },
	"add_foreign_key": func(n *node) Operation { return addForeignKey(n) },
	"add_unique":      func(n *node) Operation { return addUnique(n) },
	"add_primary_key": func(n *node) Operation { return addPrimaryKey(n) },
	"add_exclusion":   func(n *node) Operation { return addExclusion(n) },
	"drop_constraint": func(n *node) Operation { return dropConstraint(n) },
	"set_not_null":    func(n *node) Operation { return setNotNull(n) },
	"drop_not_null":   func(n *node) Operation { return dropNotNull(n) },
	"set_default":     func(n *node) Operation { return setDefault(n) },
	"drop_default":    func(n *node) Operation { return dropDefault(n) },
	"comment_on":      func(n *node) Operation { return commentOn(n) },

	"rename_constraint": func(n *node) Operation { return renameConstraint(n) },
	"rename_index":      func(n *node) Operation { return renameIndex(n) },
}

func operation(n *node, labels map[hcl.Range]string) Operation {
	if decode := operationDecoders[n.syntax.Type]; decode != nil {
		return decode(n)
	}
	return &SQL{Label: labels[n.rng()], Up: n.str("up"), Down: n.str("down"), Allow: n.strs("allow"), Range: n.rng()}
}

// sqlLabels numbers the sql blocks that have no name.
func sqlLabels(blocks []*node) map[hcl.Range]string {
	taken := map[string]bool{}
	for _, b := range blocks {
		if len(b.labels) > 0 {
			taken[b.labels[0]] = true
		}
	}
	labels := map[hcl.Range]string{}
	number := 0
	for _, b := range blocks {
		if len(b.labels) > 0 {
			labels[b.rng()] = b.labels[0]
			continue
		}
		number++
		for taken[strconv.Itoa(number)] {
			number++
		}
		labels[b.rng()] = strconv.Itoa(number)
	}
	return labels
}

// oneOfNames reports a name that is not among those the spec declares.
func (n *node) oneOfNames(rng hcl.Range, what, name string, names []string) bool {
	for _, known := range names {
		if known == name {
			return true
		}
	}
	n.problems.add(rng, "Unknown "+what, "There is no %s %s.%s%s", what, quote(name), DidYouMean(name, names), existing(names))
	return false
}

func dropTable(n *node) *DropTable {
	return &DropTable{Table: n.tableLabel(0), Hide: n.duration("hide"), Range: n.rng()}
}

func dropIndex(n *node) *DropIndex {
	t := n.tableLabel(0)
	return &DropIndex{Schema: t.Schema, Name: t.Name, Range: n.rng()}
}

func createIndex(n *node) *CreateIndex {
	n.problems.identifierAt(n.labelRange(0), n.labels[0])
	i := &CreateIndex{
		Name: n.labels[0], Columns: n.strs("columns"), Unique: n.flag("unique"),
		Where: n.str("where"), Method: n.str("method"),
		Include: n.columnList("include"), NullsNotDistinct: n.flag("nulls_not_distinct"),
		With: n.strMap("with"), Tablespace: n.str("tablespace"), Range: n.rng(),
	}
	i.At = n.places("where", "table").list(n, "columns", i.Columns).list(n, "include", i.Include)
	if i.NullsNotDistinct && !i.Unique {
		n.problems.add(n.at("nulls_not_distinct"), "Not a unique index", "nulls_not_distinct is about unique = true.")
	}
	if name := n.str("table"); n.has("table") {
		i.Table = n.problems.parseTable(n.at("table"), name)
	}
	if i.Columns != nil && len(i.Columns) == 0 {
		n.problems.add(n.at("columns"), "No columns", "%s needs at least one column.", n.title())
	}
	for e, c := range i.Columns {
		if c == "" || c[0] != '(' {
			name, _ := IndexColumn(c)
			n.problems.identifierAt(n.atElement("columns", e), name)
		}
	}
	return i
}

func sync(n *node) *Sync {
	s := &Sync{Table: n.tableLabel(0), Forward: n.columns("forward"), Backward: n.columns("backward"), Range: n.rng()}
	s.At = n.places().keys(n, "forward", s.Forward).keys(n, "backward", s.Backward)
	for _, c := range sortedKeys(s.Forward) {
		if _, both := s.Backward[c]; both {
			n.problems.add(n.atKey("backward", c), "Column on both sides", "The column %s of %s stands in forward and in backward. A column belongs to the old shape or to the new one.", quote(c), n.title())
		}
	}
	return s
}

// columns is an argument that gives columns their expressions.
func (n *node) columns(name string) map[string]string {
	m := n.strMap(name)
	for _, c := range sortedKeys(m) {
		n.problems.identifierAt(n.atKey(name, c), c)
	}
	if m != nil && len(m) == 0 {
		n.problems.add(n.at(name), "No columns", "The argument %s of %s needs at least one column.", name, n.title())
	}
	return m
}

func (l *loader) backfill(n *node, c *Change) *Backfill {
	b := &Backfill{
		Table: n.tableLabel(0), Set: n.columns("set"), Batch: n.count("batch"), Workers: n.count("workers"), Lossy: n.flag("lossy"),
		Throttle: throttle(orDefaults(n.block("throttle"), n, "throttle")), Range: n.rng(),
	}
	b.At = n.places().keys(n, "set", b.Set)
	b.Window, _ = refer(n, "window", l.windows)
	l.backfillNodes[b] = n
	if n.has("set") {
		return b
	}
	s := syncOf(c, b.Table)
	if s == nil {
		l.add(n.rng(), "Backfill of nothing", "%s has neither the argument set nor a sync of %s in expand to take it from.", n.title(), b.Table)
		return b
	}
	b.Set = s.Forward
	return b
}

// DefaultBackfill is a back-fill of which an author says nothing but the table.
func DefaultBackfill(t Table) *Backfill {
	n := &node{table: backfillTable, problems: &problems{}, syntax: &hclsyntax.Block{Type: backfillTable.name, Body: &hclsyntax.Body{}}}
	return &Backfill{Table: t, Batch: n.count("batch"), Workers: n.count("workers"), Throttle: throttle(orDefaults(nil, n, "throttle")), At: Places{}}
}

func throttle(n *node) Throttle {
	return Throttle{
		ReplicaLag: n.duration("replica_lag"), LockWaiters: n.count("lock_waiters"), Autovacuum: n.str("autovacuum"),
		WALRate: n.size("wal_rate"), Latency: n.duration("latency"), ArchiverBacklog: n.count("archiver_backlog"),
		DeadRows: n.count("dead_rows"), SQL: n.str("sql"), RowsPerSecond: n.count("rows_per_second"),
	}
}

// size is a number of bytes that is written with its unit; 0 when it is not
// given.
func (n *node) size(name string) int64 {
	text := n.str(name)
	if text == "" {
		return 0
	}
	size, ok := parseSize(text, map[string]int64{"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30})
	if !ok {
		n.problems.add(n.at(name), "Invalid size", "The argument %s of %s cannot be %s: write a whole number and kB, MB or GB, such as \"64MB\".", name, n.title(), quote(text))
		return 0
	}
	return size
}

// parseSize reads a whole number above 0 with one of the units.
func parseSize(text string, units map[string]int64) (int64, bool) {
	number := strings.TrimRight(text, "kKMGiB")
	unit := units[text[len(number):]]
	count, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
	return count * unit, err == nil && count > 0 && unit > 0
}

func syncOf(c *Change, t Table) *Sync {
	for _, o := range c.Expand {
		if s, ok := o.(*Sync); ok && s.Table == t {
			return s
		}
	}
	return nil
}

func verify(n *node) *Verify {
	v := &Verify{Name: n.labels[0], SQL: n.str("sql"), Max: n.count("max"), Range: n.rng(), At: n.places("sql")}
	if reason := identifierProblem(v.Name); reason != "" {
		n.problems.add(n.labelRange(0), "Invalid name", "%s cannot be the name of a verify: %s.", fmt.Sprintf("%q", v.Name), reason)
	}
	return v
}

func (l *loader) quiet(n *node, c *Change) *Quiet {
	q := &Quiet{Name: n.labels[0], Database: c.Database, SQL: n.str("sql"), Soak: c.Contract.Soak, Range: n.rng()}
	if reason := identifierProblem(q.Name); reason != "" {
		n.problems.add(n.labelRange(0), "Invalid name", "%s cannot be the name of a quiet: %s.", fmt.Sprintf("%q", q.Name), reason)
	}
	if n.has("database") {
		q.Database, _ = refer(n, "database", l.databases)
	}
	if n.has("soak") {
		q.Soak = n.duration("soak")
	}
	return q
}
