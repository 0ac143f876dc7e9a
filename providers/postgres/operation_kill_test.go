package postgres_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
)

// deaths is how steps die: at every point that a step comes to, once, the
// session that it has is ended and the process is as good as gone.
type deaths struct {
	conn  *pgx.Conn
	mutex sync.Mutex
	died  map[string]bool // the points of the step in hand
	total int
}

// apply does what an executor does with a step over several processes, of which
// each but the last is killed: the next one asks how far it came.
func (d *deaths) apply(w *world, a planner.Action) {
	w.Helper()
	d.died = map[string]bool{}
	step := w.step(a)
	for {
		ctx, cancel := context.WithCancel(w.Context())
		before := d.total
		err := postgres.New(w.db, func(point string) { d.at(w, point, cancel) }).Apply(ctx, w.ticket, step, w.watch.report)
		cancel()
		if d.total == before {
			if err != nil {
				w.Fatalf("%T: %v", a, err)
			}
			return
		}
		outcome, err := w.provider.Probe(w.Context(), w.ticket, step)
		if err != nil || outcome == planner.Unknown {
			w.Fatalf("%T: the probe says %v, %v", a, outcome, err)
		}
		if outcome == planner.Done {
			return
		}
	}
}

func (d *deaths) at(w *world, point string, cancel context.CancelFunc) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.died[point] {
		return
	}
	d.died[point] = true
	d.total++
	_, err := d.conn.Exec(context.WithoutCancel(w.Context()), `
		select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and application_name = $1`, application(w.ticket.Run))
	if err != nil {
		w.Error(err)
	}
	cancel()
}

// mortal are the operations that die where not all do: one of each kind of which
// no world of the crash matrix is made.
var mortal = []string{"rename a table and a column by a view", "drop constraints in contract", "create an enum with a column of it", "attach a partition"}

// Each step of each operation is killed at every point that it comes to, and the
// schema is what it is without that. With PLEAT_TEST_LONG all operations die.
func TestEveryOperationOutlivesItsDeaths(t *testing.T) {
	dying := slices.DeleteFunc(operations(t), func(o operation) bool { return !pgtest.Long() && !slices.Contains(mortal, o.name) })
	if len(dying) < len(mortal) {
		t.Errorf("%d operations, want %q", len(dying), mortal)
	}
	for _, o := range dying {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			want, dumped := madeBy(t, o.end)
			o.before, o.after = shape{}, shape{}
			l := newLife(t, o)
			l.deaths = &deaths{conn: pgtest.Connect(t, l.url)}
			l.through(want, dumped)
			if l.deaths.total == 0 {
				t.Error("nobody died")
			}
			t.Logf("%d deaths", l.deaths.total)
		})
	}
}
