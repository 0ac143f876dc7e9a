package main

import (
	"fmt"
	"strings"
	"testing"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

const (
	before     = migrations.Absent
	expanded   = migrations.Expanded
	backfilled = migrations.Backfilled
	hidden     = migrations.Hidden
	contracted = migrations.Contracted
)

// inPhase gives a database in which the change split_name has come that far,
// by the very statements that pleat runs, with a row of each hard name that
// was there before.
func inPhase(t *testing.T, phase migrations.Phase) string {
	t.Helper()
	create, split := programs(t)
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, "create schema pleat")
	perform(t, url, create.Expand)
	insertHard(t, url)
	for _, step := range []struct {
		phase migrations.Phase
		do    func()
	}{
		{expanded, func() { perform(t, url, split.Expand) }},
		{backfilled, func() { fill(t, url, split.Backfills[0]) }},
		{hidden, func() { perform(t, url, split.Hide) }},
		{contracted, func() { perform(t, url, split.Drop) }},
	} {
		if phase.AtLeast(step.phase) {
			step.do()
		}
	}
	return url
}

// programs are the spec's changes, lowered as for an empty database.
func programs(t *testing.T) (create, split *migrations.Program) {
	t.Helper()
	changes := map[string]*spec.Change{}
	for _, c := range example(t).Changes {
		changes[c.Name] = c
	}
	empty := &migrations.Catalog{Tables: map[string]*migrations.Table{}}
	create = lowered(t, changes["create_users"], empty)
	return create, lowered(t, changes["split_name"], migrations.Project(empty, create, migrations.Contracted))
}

func lowered(t *testing.T, c *spec.Change, cat *migrations.Catalog) *migrations.Program {
	t.Helper()
	p, diags := migrations.Lower(c, cat)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

func perform(t *testing.T, url string, units []migrations.Unit) {
	t.Helper()
	for _, u := range units {
		for _, sql := range u.Statements {
			pgtest.Exec(t, url, sql)
		}
	}
}

func insertHard(t *testing.T, url string) {
	t.Helper()
	c := pgtest.Connect(t, url)
	for _, name := range hard {
		pgtest.Value[int64](t, c, "insert into users (name) values ($1) returning id", name)
	}
}

// fill is the back-fill in one batch.
func fill(t *testing.T, url string, b migrations.Backfill) {
	t.Helper()
	var set []string
	for _, a := range b.Set {
		set = append(set, fmt.Sprintf("%s = (%s)", migrations.Ident(a.Column), a.Expression))
	}
	pgtest.Exec(t, url, "set pleat.sync = 'off'; update users set "+strings.Join(set, ", ")+" where "+b.Where)
}
