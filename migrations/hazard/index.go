package hazard

import "pleat/spec"

func (s *scope) createIndex(n node) {
	t := tableOf(n.child("relation"))
	concurrent := n.flag("concurrent")
	mode := Share
	if concurrent {
		mode = ShareUpdateExclusive
	}
	s.lock(t, mode)
	s.scan(t)
	s.Related = true
	columns := indexColumns(n)
	s.text.indexed[t] = append(s.text.indexed[t], columns)
	s.shape(n)
	if n.flag("unique") && !s.fresh(t) {
		s.find("writes_restricted", "rows of %s may not be alike from here on", t)
	}
	if concurrent && n.flag("if_not_exists") {
		s.find("index_if_not_exists", "an invalid index %s of an interrupted build would be taken for a good one", n.text("idxname"))
	}
	if v := s.text.reader.options.Version; concurrent && v > 140000 && v < 140004 {
		s.find("index_corruption_14", "the server's version is 14.%d", v-140000)
	}
	if !concurrent && !s.fresh(t) {
		s.find("index_blocks_writes", "nobody writes %s until the index is built", t)
	}
	s.query(node{"expressions": n["indexParams"], "where": n["whereClause"]})
}

// shape is about what an index is made of.
func (s *scope) shape(n node) {
	if len(n.items("indexParams")) > 3 && !n.flag("unique") {
		s.find("index_many_columns", "it has %d columns", len(n.items("indexParams")))
	}
	if n.text("accessMethod") == "hash" {
		s.find("hash_index", "%s is a hash index", n.text("idxname"))
	}
}

func indexColumns(n node) []string {
	var columns []string
	for _, p := range n.items("indexParams") {
		columns = append(columns, p.node.text("name"))
	}
	return columns
}

func (s *scope) reindex(n node) {
	t := tableOf(n.child("relation"))
	concurrent := option(n.items("params"), "concurrently")
	mode := AccessExclusive
	if concurrent {
		mode = ShareUpdateExclusive
	}
	s.Related = true
	switch n.text("kind") {
	case "REINDEX_OBJECT_INDEX":
		s.lock(t, mode)
		s.add(Lock{Table: t, Behind: true, Mode: min(mode, Share)})
		if concurrent {
			s.add(Lock{Table: t, Behind: true, Mode: mode})
		}
		s.rewrite(t)
	case "REINDEX_OBJECT_TABLE":
		// The table is locked less than its indexes, which the text does not name.
		s.lock(t, mode)
		s.rewrite(t)
		s.scan(t)
	default:
		s.find("unclassified_sql", "which tables are locked depends on the database")
	}
	if !concurrent && !s.fresh(t) {
		what := t.String()
		if what == "." {
			what = "each table"
		}
		s.find("reindex_blocks", "nobody writes %s until its indexes are built", what)
	}
}

func (s *scope) cluster(n node) {
	t := tableOf(n.child("relation"))
	s.Related = true
	if t == (spec.Table{}) {
		s.find("vacuum_full", "every table that was clustered before is written anew")
		return
	}
	s.lock(t, AccessExclusive)
	s.rewrite(t)
	if !s.fresh(t) {
		s.find("vacuum_full", "nobody reads or writes %s until it is written anew", t)
	}
}

func (s *scope) vacuum(n node) {
	full := n.flag("is_vacuumcmd") && option(n.items("options"), "full")
	s.Related = true
	for _, r := range n.items("rels") {
		t := tableOf(r.node.child("relation"))
		s.lock(t, ShareUpdateExclusive)
		if full {
			s.lock(t, AccessExclusive)
			s.rewrite(t)
		}
	}
	if full {
		s.find("vacuum_full", "nobody reads or writes the table until it is written anew")
	}
}

func (s *scope) refresh(n node) {
	t := tableOf(n.child("relation"))
	s.Related = true
	if n.flag("concurrent") {
		s.lock(t, Exclusive)
		return
	}
	s.lock(t, AccessExclusive)
	s.rewrite(t)
	if !s.fresh(t) {
		s.find("refresh_blocks", "nobody reads %s until its query has run", t)
	}
}

// lockModes are the grammar's numbers of the modes.
var lockModes = []Mode{0, AccessShare, RowShare, RowExclusive, ShareUpdateExclusive, Share, ShareRowExclusive, Exclusive, AccessExclusive}

func (s *scope) lockTable(n node) {
	s.Related = true
	mode := AccessExclusive
	if m := n.number("mode"); m > 0 && m < len(lockModes) {
		mode = lockModes[m]
	}
	for _, r := range n.items("relations") {
		t := tableOf(r.node)
		s.lock(t, mode)
		if mode.BlocksWrites() && !s.fresh(t) {
			s.find("lock_table", "%s is locked in %s until the transaction ends", t, mode)
		}
	}
}
