package planner

import (
	"fmt"
	"slices"
	"strings"

	"pleat/migrations"
	"pleat/migrations/hazard"
	"pleat/spec"
)

// Obstacle is a circumstance in which a plan must not begin, although it was
// made: it is looked for again before each run.
type Obstacle struct {
	Code    string // stable, by which one is allowed where that can be
	Text    string // what is in the way
	Do      string // about it
	Allowed bool   // it may be allowed by its code: it is an estimate, or the author may know better
}

// Obstacles are those of a plan in a state, all at once. Going back, only what
// would fail at the server counts. What could not be seen is no obstacle.
func Obstacles(p *Plan, st *State) []Obstacle {
	var out []Obstacle
	for _, name := range sortedKeys(st.Databases) {
		db := st.Databases[name]
		if db == nil || db.Circumstances == nil {
			continue
		}
		v := &view{plan: p, db: db, at: databaseAddress(name)}
		if len(v.steps()) == 0 {
			continue
		}
		out = append(out, v.rights()...)
		if p.Kind == "rollback" {
			continue
		}
		out = append(out, v.room()...)
		for _, s := range v.steps() {
			out = append(out, v.replication(s)...)
		}
	}
	return distinctObstacles(out)
}

func distinctObstacles(all []Obstacle) []Obstacle {
	var out []Obstacle
	for _, o := range all {
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// obstacle is one of a code, which says whether it may be allowed.
func obstacle(code, text, do string) Obstacle {
	return Obstacle{Code: code, Text: text, Do: do, Allowed: hazard.Must(code).Severity != hazard.Obstacle}
}

// oldest is the first server version that pleat's statements work with.
const oldest = 13_00_00

// rights are those that the steps' statements would lack.
func (v *view) rights() []Obstacle {
	c := v.db.Circumstances
	var out []Obstacle
	if c.Version > 0 && c.Version < oldest {
		out = append(out, obstacle("old_server", fmt.Sprintf("%s is PostgreSQL %d", v.at, c.Version/10000), "PostgreSQL 13 and later are supported"))
	}
	if !c.Becomes {
		return append(out, obstacle("missing_right",
			fmt.Sprintf("%s: %s may not become the role %s", v.at, c.User, c.Role),
			fmt.Sprintf("GRANT %s TO %s;", migrations.Ident(c.Role), migrations.Ident(c.User)),
		))
	}
	if c.Installs != nil && !*c.Installs {
		out = append(out, obstacle("missing_right",
			fmt.Sprintf("%s: %s may not make the schema pleat, in which pleat keeps what it did", v.at, c.User),
			v.grantCreate(c.User),
		))
	}
	for _, s := range v.steps() {
		out = append(out, v.rightsOf(s)...)
	}
	return out
}

// grantCreate lets a role make schemas.
func (v *view) grantCreate(role string) string {
	database := "…"
	if v.db.Name != "" {
		database = migrations.Ident(v.db.Name)
	}
	return fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s;", database, migrations.Ident(role))
}

func (v *view) rightsOf(s numbered) []Obstacle {
	c, table := v.db.Circumstances, spec.ParseTable(s.Table)
	around, there := c.Tables[s.Table]
	var out []Obstacle
	if _, fills := s.Action.(*Backfill); there && around.Policed && (fills || s.Kind == KindSync) {
		out = append(out, v.lacks(s, fmt.Sprintf("see all rows of %s, whose row security binds it", s.Table),
			fmt.Sprintf("ALTER ROLE %s BYPASSRLS; or name a role that has that as `role` of the database", migrations.Ident(c.Role))))
	}
	switch a := s.Action.(type) {
	case *Backfill:
		if there && !around.Written {
			out = append(out, v.lacks(s, "read and write "+s.Table, fmt.Sprintf("GRANT SELECT, UPDATE ON %s TO %s;", migrations.Ident(table.Schema, table.Name), migrations.Ident(c.Role))))
		}
		return out
	case *Transaction:
		if name, makes := strings.CutPrefix(a.Unit, "create."); makes {
			return v.create(s, spec.ParseTable(name).Schema)
		}
		if s.Kind == KindSync {
			out = append(out, v.create(s, "pleat")...)
		}
		if strings.HasPrefix(a.Unit, "view.") && c.Creates != nil && !*c.Creates {
			return []Obstacle{v.lacks(s, "make the schema "+a.Table.Schema+" of the view", v.grantCreate(c.Role))}
		}
	case *BuildIndex:
		out = v.create(s, table.Schema)
	case *RemoveIndex:
	default:
		return nil
	}
	if there && !around.Owned {
		out = append(out, v.lacks(s, fmt.Sprintf("change %s, which belongs to %s", s.Table, around.Owner),
			fmt.Sprintf("let %s own it, or name its owner as `role` of the database and GRANT that role TO %s;", migrations.Ident(c.Role), migrations.Ident(c.User))))
	}
	return out
}

// create is about a schema in which a step makes something.
func (v *view) create(s numbered, schema string) []Obstacle {
	c := v.db.Circumstances
	if may, known := c.Schemas[schema]; may || !known {
		return nil
	}
	return []Obstacle{v.lacks(s, "make anything in the schema "+schema, fmt.Sprintf("GRANT USAGE, CREATE ON SCHEMA %s TO %s;", migrations.Ident(schema), migrations.Ident(c.Role)))}
}

func (v *view) lacks(s numbered, what, do string) Obstacle {
	return obstacle("missing_right", fmt.Sprintf("%s: %s may not %s (step %d %s %s)", v.at, v.db.Circumstances.Role, what, s.number, s.Kind, s.Title), do)
}

const (
	needed = 3         // connections, at the most
	flood  = 256 << 20 // of WAL is too much for a slot that nobody reads
)

// room is connections, disk and WAL.
func (v *view) room() []Obstacle {
	c := v.db.Circumstances
	var out []Obstacle
	if c.Connections != nil && *c.Connections < needed {
		out = append(out, obstacle("no_connections",
			fmt.Sprintf("%s: %s left of max_connections, and pleat needs %d", v.at, plural(*c.Connections, "connection"), needed),
			"end idle sessions, or raise max_connections",
		))
	}
	writes := v.writes()
	// Twice: what is written, and its WAL or what an index is sorted with.
	if c.Disk != nil && writes > 0 && 2*writes > *c.Disk {
		out = append(out, obstacle("no_space",
			fmt.Sprintf("%s: %s are free on the server's disk, and the steps need about %s", v.at, sized(*c.Disk), sized(2*writes)),
			"make room, or run the back-fills and index builds one at a time",
		))
	}
	return append(out, v.heldBySlots(writes)...)
}

// heldBySlots is about slots that would keep too much of what is written, or be
// lost with it. One that is lost is no more of use to its reader, who begins anew.
func (v *view) heldBySlots(writes int64) []Obstacle {
	c := v.db.Circumstances
	var out []Obstacle
	for _, s := range c.Slots {
		if s.Safe != nil && writes > *s.Safe {
			out = append(out, obstacle("slot_behind",
				fmt.Sprintf("%s: the replication slot %s is lost when %s more are written than its reader has taken, and the steps write about %s of WAL", v.at, s.Name, sized(max(*s.Safe, 0)), sized(writes)),
				"raise max_slot_wal_keep_size, or see that the reader catches up; a back-fill waits for it with throttle { lag }",
			))
		}
		if s.Active || c.SlotsLimited || writes < flood {
			continue
		}
		out = append(out, obstacle("inactive_slot",
			fmt.Sprintf("%s: nobody reads the replication slot %s, which would keep about %s of WAL that the steps write, beside the %s that it holds", v.at, s.Name, sized(writes), sized(s.Held)),
			fmt.Sprintf("start its subscriber, SELECT pg_drop_replication_slot(%s); or set max_slot_wal_keep_size", migrations.Literal(s.Name)),
		))
	}
	return out
}

// replication is what a step breaks on the way to subscribers, or what does
// not reach its trigger.
func (v *view) replication(s numbered) []Obstacle {
	t, around := v.table(s), v.db.Circumstances.Tables[s.Table]
	if t == nil {
		return nil
	}
	var out []Obstacle
	_, fills := s.Action.(*Backfill)
	if fills && len(t.Publications) > 0 && !around.Identified {
		out = append(out, obstacle("replica_identity",
			fmt.Sprintf("%s is published by %s and has no replica identity: the server refuses each UPDATE of it", s.Table, strings.Join(t.Publications, ", ")),
			fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;", migrations.Ident(parsedIdent(s.Table)...)),
		))
	}
	if s.Kind == KindSync && around.Subscribed {
		out = append(out, obstacle("subscribed_table",
			fmt.Sprintf("a subscription writes %s: the trigger does not fire for its rows, and they are not kept in step", s.Table),
			"make the change where the rows are written first",
		))
	}
	if s.Kind == KindSync && len(t.Children) > 0 {
		out = append(out, obstacle("inherited_table",
			fmt.Sprintf("%s inherit from %s: the trigger does not fire for rows that are written to them", some(t.Children, ", "), s.Table),
			"sync each of them too",
		))
	}
	return append(out, v.published(s, t, around)...)
}

// published is about steps that give or take columns of a published table.
func (v *view) published(s numbered, t *migrations.Table, around TableCircumstance) []Obstacle {
	a, ok := s.Action.(*Transaction)
	if !ok {
		return nil
	}
	var out []Obstacle
	for _, publication := range sortedKeys(around.Listed) {
		for _, column := range around.Listed[publication] {
			name := s.Table + "." + column
			if s.dropsColumn(column) {
				out = append(out, obstacle("publication_column",
					fmt.Sprintf("the publication %s lists %s: the server refuses its drop", publication, name),
					fmt.Sprintf("ALTER PUBLICATION %s SET TABLE …, without the column", migrations.Ident(publication)),
				))
			}
			if renamed := "RENAME COLUMN " + migrations.Ident(column) + " TO "; slices.ContainsFunc(a.SQL, func(sql string) bool { return strings.Contains(sql, renamed) }) {
				out = append(out, obstacle("publication_column",
					fmt.Sprintf("the publication %s lists %s: from step %d on it publishes it by another name, and subscribers stop", publication, name, s.number),
					fmt.Sprintf("ALTER PUBLICATION %s SET TABLE …, without the column; and again with the new one, once it has the name", migrations.Ident(publication)),
				))
			}
		}
	}
	for _, publication := range sortedKeys(around.Filtered) {
		for _, column := range around.Filtered[publication] {
			if s.dropsColumn(column) {
				out = append(out, obstacle("publication_column",
					fmt.Sprintf("the publication %s chooses rows by %s.%s: the server refuses its drop", publication, s.Table, column),
					fmt.Sprintf("ALTER PUBLICATION %s SET TABLE …, with another WHERE", migrations.Ident(publication)),
				))
			}
		}
	}
	whole := slices.DeleteFunc(slices.Clone(t.Publications), func(p string) bool { return around.Listed[p] != nil })
	shapes := strings.HasPrefix(a.Unit, "expand."+s.Table) || strings.HasPrefix(a.Unit, "hide."+s.Table)
	if len(whole) > 0 && shapes {
		out = append(out, obstacle("published_table",
			fmt.Sprintf("%s publishes %s with all its columns: subscribers stop at the first row after step %d %s, if theirs has other ones", strings.Join(whole, ", "), s.Table, s.number, s.Kind),
			"add columns at the subscribers first, and take them away there last",
		))
	}
	return out
}

// dropsColumn tells whether the step drops a column of its table, which is hidden by
// then or will be.
func (s numbered) dropsColumn(column string) bool {
	return slices.ContainsFunc(s.Drops, func(dropped string) bool {
		original, ok := strings.CutPrefix(dropped, s.Table+".")
		return ok && (column == original || column == migrations.HiddenName(original))
	})
}

func parsedIdent(table string) []string {
	t := spec.ParseTable(table)
	return []string{t.Schema, t.Name}
}
