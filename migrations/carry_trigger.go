package migrations

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

// isAuthors tells a trigger that is not pleat's.
func (t Trigger) isAuthors() bool { return !strings.HasPrefix(t.Comment, "pleat:") }

// FiredByUpdate tells whether the trigger is an author's, is on, and fires for each row of
// which an UPDATE sets the columns.
func (t Trigger) FiredByUpdate(columns []string) bool {
	events, _, _ := strings.Cut(t.Definition, " ON ")
	return t.isAuthors() && !t.Off && strings.Contains(events, " UPDATE") && strings.Contains(t.Definition, " FOR EACH ROW") &&
		(len(t.Columns) == 0 || slices.ContainsFunc(t.Columns, func(c string) bool { return slices.Contains(columns, c) }))
}

// syncsBut are the triggers of changes that keep two shapes of the table in step,
// but for that of one change.
func (t *Table) syncsBut(change string) []Trigger {
	if t == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Concat(t.Triggers, t.Aside), func(g Trigger) bool { return g.isAuthors() || g.Name == TriggerName(change) })
}

// keeping says which change keeps two shapes of a table in step by the trigger, and
// what it takes for that to end.
func (c *Catalog) keeping(g Trigger, name spec.Table) Wait {
	change, _, _ := strings.Cut(strings.TrimPrefix(g.Comment, "pleat:"), ":")
	why := fmt.Sprintf("change.%s keeps two shapes of %s until it is contracted", change, name)
	if c.Endless[change] {
		why += "; declare a contract in it"
	}
	return Wait{change, why}
}

// handles tells whether a trigger of pleat's is about a column of that name.
func (g Trigger) handles(column string) bool { return strings.Contains(g.Function, Ident(column)) }

// naming are the author's triggers that name a column.
func (t *Table) naming(column string) []Trigger {
	if t == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.Triggers), func(g Trigger) bool {
		return !g.isAuthors() || !slices.Contains(g.Names, column)
	})
}

// carryTriggers has the swap, and its way back, make the triggers again that name
// a column, for the one that has its name then. Whatever fires them later finds
// them in the same order, which is that of their names.
func (l *lowering) carryTriggers(u *Unit, t spec.Table) {
	live := l.live.Table(t)
	var names []string
	for _, r := range l.replaced(t) {
		state := swapState(live, r)
		column := r.Column
		if state == hidden {
			column = r.Final()
		}
		found := live.naming(column)
		if state == gone || len(found) == 0 {
			continue
		}
		if state == original {
			u.Statements = append(u.Statements, moveTriggers(t, HiddenName(r.Column), r.Final(), ""))
		}
		beside := ""
		if r.Keep {
			beside = r.By
		}
		u.Undo = append(u.Undo, moveTriggers(t, r.By, r.Column, beside))
		for _, g := range found {
			if !slices.Contains(names, g.Name) {
				names = append(names, g.Name)
			}
		}
	}
	if len(names) > 0 {
		u.Does = append(u.Does, "made again for the column that takes over: trigger "+strings.Join(names, ", trigger "))
	}
}

// widenTriggers has triggers with a column in UPDATE OF fire as well for the one that
// is written under its new name, once the back-fill has written that.
func (l *lowering) widenTriggers(t spec.Table) {
	live := l.live.Table(t)
	for _, r := range l.replaced(t) {
		var names []string
		applied := true
		for _, g := range live.naming(r.Column) {
			if slices.Contains(g.Columns, r.Column) {
				names, applied = append(names, g.Name), applied && slices.Contains(g.Columns, r.By)
			}
		}
		if !r.Keep || len(names) == 0 || swapState(live, r) != original {
			continue
		}
		l.program.Validate = append(l.program.Validate, Unit{
			ID: "triggers." + t.String() + "." + r.By, Title: "trigger " + strings.Join(names, ", trigger ") + " of " + t.String() + ", also by " + r.By,
			Mode: InTransaction, Table: t, Lock: AccessExclusive, UndoLock: AccessExclusive,
			Statements: []string{moveTriggers(t, r.Column, r.Column, r.By)},
			Undo:       []string{moveTriggers(t, r.By, r.Column, "")}, UndoTitle: "by " + r.Column + " alone",
			Applied: applied, Visible: true, Source: r.Range,
		})
	}
}

// moveTriggers makes the author's triggers that name a column again for another,
// as they are otherwise: in UPDATE OF, where that names the other one already, it is
// left out, and the one beside comes behind it, "" for none. While the definitions are
// read the column has a name that is nothing else in them.
func moveTriggers(t spec.Table, from, to, beside string) string {
	listed := Ident(to)
	if beside != "" {
		listed += ", " + Ident(beside)
	}
	replacement := func(text string) string { return Literal(strings.ReplaceAll(text, `\`, `\\`)) }
	body := fmt.Sprintf(`
declare
  kept pg_catalog.jsonb;
  it pg_catalog.jsonb;
  make text;
  events text;
begin
  alter table %[1]s rename column %[2]s to pleat_moving;
  select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'name', pg_catalog.quote_ident(g.tgname), 'make', pg_catalog.pg_get_triggerdef(g.oid), 'comment', pg_catalog.obj_description(g.oid, 'pg_trigger'),
    'listed', exists (select from pg_catalog.pg_attribute o where o.attrelid = g.tgrelid and o.attname = %[6]s and o.attnum = any (g.tgattr::pg_catalog.int2[])),
    'state', case g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' when 'A' then 'enable always' end) order by g.tgname) into kept
  from pg_catalog.pg_trigger g
  where g.tgrelid = %[3]s::pg_catalog.regclass and not g.tgisinternal and coalesce(pg_catalog.obj_description(g.oid, 'pg_trigger'), '') not like 'pleat:%%'
    and exists (
      select from pg_catalog.pg_depend d join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and d.objid = g.oid and d.refobjid = g.tgrelid and a.attname = 'pleat_moving');
  alter table %[1]s rename column pleat_moving to %[2]s;
  for it in select * from pg_catalog.jsonb_array_elements(kept) loop
    make := it ->> 'make';
    events := substring(make from '^(?:.*?) ON ');
    make := pg_catalog.substr(make, pg_catalog.length(events) + 1);
    if (it ->> 'listed')::boolean then
      events := pg_catalog.regexp_replace(events, '\mpleat_moving, |, pleat_moving\M', '');
    end if;
    execute 'drop trigger ' || (it ->> 'name') || ' on ' || %[3]s;
    execute pg_catalog.regexp_replace(events, '\mpleat_moving\M', %[5]s) || pg_catalog.regexp_replace(make, '\mpleat_moving\M', %[4]s, 'g');
    if it ->> 'state' is not null then
      execute 'alter table ' || %[3]s || ' ' || (it ->> 'state') || ' trigger ' || (it ->> 'name');
    end if;
    if it ->> 'comment' is not null then
      execute pg_catalog.format('comment on trigger %%s on %%s is %%L', it ->> 'name', %[3]s, it ->> 'comment');
    end if;
  end loop;
end
`, tableIdent(t), Ident(from), Literal(tableIdent(t)), replacement(Ident(to)), replacement(listed), Literal(to))
	return do(body)
}
