package postgres_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

const (
	fewWalks  = 12
	manyWalks = 2000 // with PLEAT_TEST_LONG
)

// TestWalk takes random schemas through random changes. First some of the
// changes go as far as they can be taken back, and are taken back: the schema
// must be what it was. Then each goes to its end: the schema must be what the
// direct DDL makes. A walk is drawn from its seed, which is its name.
func TestWalk(t *testing.T) {
	walks := fewWalks
	if pgtest.Long() {
		walks = manyWalks
	}
	for seed := range walks {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			walk(t, rapid.Custom(drawWalk).Example(seed))
		})
	}
}

// journey is a random schema and what becomes of it.
type journey struct {
	from  string // DDL and rows
	steps []stride
	there int // that many changes go there and back first
	far   migrations.Phase
}

// stride is one change, and the DDL that makes the same directly.
type stride struct {
	change spec.Change
	direct string
}

func walk(t *testing.T, j journey) {
	w := newWorld(t, j.from)
	straight := pgtest.Connect(t, pgtest.New(t).Database(t))
	if _, err := straight.Exec(t.Context(), j.from); err != nil {
		t.Fatalf("%s: %v", j.from, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(j)
		}
	})
	before := unordered(w.schema())
	for i := range j.there {
		w.advance(&j.steps[i].change, j.far)
	}
	for i := j.there - 1; i >= 0; i-- {
		w.retreat(&j.steps[i].change)
	}
	if diff := cmp.Diff(before, unordered(w.schema())); diff != "" {
		t.Fatalf("after the way back (-before +after):\n%s", diff)
	}
	for _, s := range j.steps {
		w.advance(&s.change, migrations.Contracted)
		if _, err := straight.Exec(t.Context(), s.direct); err != nil {
			t.Fatalf("%s: %v", s.direct, err)
		}
		if diff := cmp.Diff(unordered(pgtest.Catalog(t, straight)), unordered(w.schema())); diff != "" {
			t.Fatalf("after %s (-direct +walked):\n%s", s.change.Name, diff)
		}
	}
	if left := w.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
}

func (j journey) String() string {
	text := fmt.Sprintf("from %s\n%d there to %s and back", j.from, j.there, j.far)
	for _, s := range j.steps {
		text += "\n" + s.change.Name + ": " + s.direct
	}
	return text
}

// unordered leaves the order of columns out: a column that takes another's
// place comes last.
func unordered(schema string) string {
	return regexp.MustCompile(`(?m)^([^" ]|"[^"]*")+ columns .*\n`).ReplaceAllString(schema, "")
}

// advance brings a change as far as that phase.
func (w *world) advance(c *spec.Change, to migrations.Phase) {
	w.Helper()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	if !to.AtLeast(migrations.Backfilled) {
		return
	}
	for _, b := range p.Backfills {
		w.apply(backfill(p, b))
	}
	w.do(p, p.Validate, migrations.Verified)
	for _, v := range c.Verifies {
		w.apply(&planner.Verify{Change: c.Name, Name: v.Name, SQL: v.SQL, Max: v.Max, Phase: migrations.Verified, Digest: p.Digest})
	}
	if to.AtLeast(migrations.Hidden) {
		p = w.lower(c)
		w.do(p, p.Hide, migrations.Hidden)
	}
	if to == migrations.Contracted {
		p = w.lower(c)
		w.do(p, p.Drop, migrations.Contracted)
	}
}

// retreat takes a change back from wherever it is.
func (w *world) retreat(c *spec.Change) {
	w.Helper()
	if p := w.lower(c); slices.ContainsFunc(p.Hide, func(u migrations.Unit) bool { return u.Applied }) {
		w.undo(p, p.Hide, migrations.Verified)
	}
	p := w.lower(c)
	units := slices.DeleteFunc(slices.Concat(p.Expand, p.Validate), func(u migrations.Unit) bool { return len(u.Whole().Undo) == 0 })
	w.undo(p, units, migrations.Absent)
}

func drawWalk(t *rapid.T) journey {
	s := &sketch{}
	for range rapid.IntRange(1, 2).Draw(t, "tables") {
		s.addTable(t)
	}
	j := journey{
		from: s.ddl(),
		far:  rapid.SampledFrom([]migrations.Phase{migrations.Expanded, migrations.Verified, migrations.Hidden}).Draw(t, "far"),
	}
	wanted := rapid.IntRange(1, 4).Draw(t, "steps")
	for len(j.steps) < wanted {
		kind := rapid.SampledFrom(strides).Draw(t, "kind")
		if next, ok := kind(t, s); ok {
			next.change.Name = fmt.Sprintf("c%d", len(j.steps))
			j.steps = append(j.steps, next)
		}
	}
	j.there = rapid.IntRange(1, len(j.steps)).Draw(t, "there")
	return j
}
