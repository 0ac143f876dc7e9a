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
	stays  bool // something of it stays on the way back, so that it only goes there
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
	p, rec := w.recorded(c)
	w.do(p, absent(p.Expand, rec), migrations.Expanded)
	if !to.AtLeast(migrations.Backfilled) {
		return
	}
	for _, b := range p.Backfills {
		w.apply(backfill(p, b))
	}
	w.do(p, absent(p.Validate, rec), migrations.Verified)
	for _, v := range c.Verifies {
		w.apply(&planner.Verify{Change: c.Name, Name: v.Name, SQL: v.SQL, Max: v.Max, Phase: migrations.Verified, Digest: p.Digest})
	}
	if to.AtLeast(migrations.Hidden) {
		p, rec = w.recorded(c)
		w.do(p, absent(p.Hide, rec), migrations.Hidden)
	}
	if to == migrations.Contracted {
		p, rec = w.recorded(c)
		w.do(p, absent(p.Drop, rec), migrations.Contracted)
	}
}

// retreat takes a change back from wherever it is.
func (w *world) retreat(c *spec.Change) {
	w.Helper()
	p, rec := w.recorded(c)
	w.undo(p, w.taken(p.Hide, rec), migrations.Verified)
	p, rec = w.recorded(c)
	w.undo(p, w.taken(slices.Concat(p.Expand, p.Validate), rec), migrations.Absent)
}

// recorded is the change lowered, and what the record has of it.
func (w *world) recorded(c *spec.Change) (*migrations.Program, migrations.Recorded) {
	w.Helper()
	live := w.observe(c)
	return w.lowered(c, live), live.Changes[c.Name]
}

// absent are the units that a planner would do.
func absent(units []migrations.Unit, rec migrations.Recorded) []migrations.Unit {
	return slices.DeleteFunc(slices.Clone(units), func(u migrations.Unit) bool { return done(u, rec) })
}

func done(u migrations.Unit, rec migrations.Recorded) bool {
	return u.Applied || !u.Visible && rec.Units[u.ID]
}

// taken are the units that a planner would take back, for which each must have
// a way.
func (w *world) taken(units []migrations.Unit, rec migrations.Recorded) []migrations.Unit {
	w.Helper()
	return slices.DeleteFunc(slices.Clone(units), func(u migrations.Unit) bool {
		undo := u.Whole().Undo
		if !done(u, rec) || u.Applied && u.WasThere(rec) || u.Restored || undo != nil && len(undo) == 0 {
			return true
		}
		if undo == nil {
			w.Fatalf("%s has no way back", u.ID)
		}
		return false
	})
}

func drawWalk(t *rapid.T) journey {
	s := &sketch{}
	for range rapid.IntRange(1, 2).Draw(t, "tables") {
		s.settle(t, s.addTable(t))
	}
	j := journey{
		from: s.ddl(),
		far:  rapid.SampledFrom([]migrations.Phase{migrations.Expanded, migrations.Verified, migrations.Hidden}).Draw(t, "far"),
	}
	for _, kind := range []func(*rapid.T, *sketch) (stride, bool){drawCreateEnum, drawCreateParted, drawLoose} {
		if rapid.IntRange(0, 2).Draw(t, "beside") == 0 {
			if made, ok := kind(t, s); ok {
				j.from += ";\n" + made.direct
			}
		}
	}
	wanted := rapid.IntRange(1, 4).Draw(t, "steps")
	for len(j.steps) < wanted {
		kind := rapid.SampledFrom(strides).Draw(t, "kind")
		if next, ok := kind(t, s); ok {
			next.change.Name = fmt.Sprintf("c%d", len(j.steps))
			j.steps = append(j.steps, next)
		}
	}
	backs := slices.IndexFunc(j.steps, func(s stride) bool { return s.stays })
	if backs < 0 {
		backs = len(j.steps)
	}
	j.there = rapid.IntRange(min(1, backs), backs).Draw(t, "there")
	return j
}
