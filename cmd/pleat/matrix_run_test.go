package main

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/bookkeeping"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// matrix is what all cases share.
type matrix struct {
	program    string // pleat, without the race detector: thousands of them are run
	postgres   *pgtest.Server
	references map[string]*reference // written before parallel cases begin

	mutex     sync.Mutex
	templates map[string]string
	free      map[string][]*lane // by how they were released first
}

// reference is what a world becomes when nobody disturbs it.
type reference struct {
	reach   map[string]int // how often each point is reached
	before  string         // what is live before, see picture
	planned string         // afterwards
	effects string         // the DDL that was made
}

func newMatrix(t *testing.T) *matrix {
	m := &matrix{program: buildPleat(t), postgres: pgtest.New(t), free: map[string][]*lane{}, templates: map[string]string{}, references: map[string]*reference{}}
	t.Cleanup(func() {
		for _, lanes := range m.free {
			for _, l := range lanes {
				l.close(context.Background())
				m.postgres.Exec(t, "drop database if exists "+l.database+" with (force)")
			}
		}
		for _, name := range m.templates {
			m.postgres.Exec(t, "drop database if exists "+name)
		}
	})
	return m
}

// buildPleat has the flags of the Makefile, so that what it built is taken from
// the cache.
func buildPleat(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pleat")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// take gives a lane that nobody else uses.
func (m *matrix) take(t *testing.T, first string) *lane {
	t.Helper()
	l := m.unused(first)
	if l == nil {
		var err error
		if l, err = m.newLane(first); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// unused is a lane that was given back, nil for none.
func (m *matrix) unused(first string) *lane {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	lanes := m.free[first]
	if len(lanes) == 0 {
		return nil
	}
	l := lanes[len(lanes)-1]
	m.free[first] = lanes[:len(lanes)-1]
	return l
}

// giveBack has others use the lane.
func (m *matrix) giveBack(l *lane) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.free[l.first] = append(m.free[l.first], l)
}

// template is a database with the world's tables and pleat's, to copy.
func (m *matrix) template(w *matrixWorld) (string, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if name, ok := m.templates[w.name]; ok {
		return name, nil
	}
	name := "world_" + strings.ToLower(rand.Text())
	ctx := context.Background()
	if err := m.postgres.Create(ctx, name, "template1"); err != nil {
		return "", err
	}
	m.templates[w.name] = name
	url := m.postgres.URL(name)
	if err := bookkeeping.Migrate(ctx, spec.Plain(url)); err != nil || w.setup == "" {
		return name, err
	}
	return name, sql(ctx, url, w.setup+auditing)
}

func sql(ctx context.Context, url, text string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.PgConn().Exec(ctx, text).ReadAll()
	return err
}

// learn runs the world, and those that its cases are compared with, once with
// nothing in their way.
func (m *matrix) learn(t *testing.T, w *matrixWorld) *reference {
	t.Helper()
	for _, each := range []*matrixWorld{w, worldNamed(w.forward), worldNamed(w.expanded)} {
		if each != nil && m.references[each.name] == nil {
			m.references[each.name] = m.undisturbed(t, each)
		}
	}
	return m.references[w.name]
}

// undisturbed runs a world with nothing in its way.
func (m *matrix) undisturbed(t *testing.T, w *matrixWorld) *reference {
	t.Helper()
	s := m.begin(t, w)
	r := &reference{before: s.picture(), reach: map[string]int{}}
	s.prelude()
	file := filepath.Join(s.lane.dir, "points")
	if err := os.RemoveAll(file); err != nil {
		t.Fatal(err)
	}
	s.ends(s.lane.pleat("trace:"+file, w.command(), "--auto-approve"), w.exit)
	s.writer.stop()
	r.planned, r.effects = s.picture(), s.effects()
	s.settled()
	reached, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range strings.Fields(string(reached)) {
		r.reach[point]++
	}
	// It is told each 100 ms that a build takes.
	r.reach["index.building"] = min(r.reach["index.building"], 1)
	s.finish()
	return r
}

// sequence is one case under way.
type sequence struct {
	t        *testing.T
	matrix   *matrix
	world    *matrixWorld
	lane     *lane
	wanted   string // the release that the plan goes to
	db       *pgx.Conn
	writer   *writer
	nodes    *rowWriter // nil: the world is of no cluster
	frozen   bool       // an apply sleeps, with its sessions
	idle     bool       // the apply that came after had nothing to do: it left the lease to expire
	finished bool       // the lane is given back
}

// begin prepares a lane for one case. finish gives it back; without that it ends
// with the test, and what happened on it is nobody else's trouble.
func (m *matrix) begin(t *testing.T, w *matrixWorld) *sequence {
	t.Helper()
	l := m.take(t, w.first)
	s := &sequence{t: t, matrix: m, world: w, lane: l, wanted: w.wanted(l)}
	t.Cleanup(func() {
		if !s.finished { // not asked of the lane: somebody else may have it by now
			l.close(context.Background())
		}
	})
	if err := m.refresh(l, w); err != nil {
		t.Fatal(err)
	}
	if err := l.write(w.matrixSpec(l)); err != nil {
		t.Fatal(err)
	}
	s.db = pgtest.Connect(t, l.url)
	l.serve()
	if err := os.RemoveAll(s.ranFile()); err != nil {
		t.Fatal(err)
	}
	s.writer = newWriter(t, l.url, w.serves)
	s.beginCluster()
	return s
}

// prelude is the apply that dies before the command under test.
func (s *sequence) prelude() {
	s.t.Helper()
	if s.world.prelude.point == "" {
		return
	}
	hold := pgtest.Connect(s.t, s.lane.url)
	if s.world.held {
		// A build waits for whoever wrote before it began.
		if _, err := hold.Exec(s.t.Context(), "begin; update users set name = name where id = 1"); err != nil {
			s.t.Fatal(err)
		}
	}
	s.dies(s.lane.pleat(s.world.prelude.String(), "apply", "--auto-approve"))
	s.orphansEnd() // else the build would go through after all
	if err := hold.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// crashed is one case: the command dies at a place, and another one follows.
func (m *matrix) crashed(t *testing.T, w *matrixWorld, p place, action string) {
	s := m.begin(t, w)
	s.prelude()
	if w.clustered() && p.point == "rollout.answered" && action == "rollback" {
		s.promoting(8) // what comes after the death is there before it is done
	}
	e := s.lane.pleat(p.String(), w.command(), "--auto-approve")
	if p.timed() && e.code == w.exit {
		s.writer.stop()
		s.finish()
		t.Skipf("%s was not reached this time", p)
	}
	s.dies(e)
	s.recover(action)
	s.writer.stop()
	s.settled()
	s.finish()
}

// dies wants that the command was killed where it was told.
func (s *sequence) dies(e ended) {
	s.t.Helper()
	if !e.killed {
		s.t.Fatalf("it was not killed there: exit %d\n%s", e.code, e.output)
	}
}

// ends wants an exit code.
func (s *sequence) ends(e ended, want int) {
	s.t.Helper()
	if e.code != want {
		s.t.Fatalf("exit %d, want %d\n%s", e.code, want, e.output)
	}
}

// finish gives the lane back, with the release that is live.
func (s *sequence) finish() {
	s.t.Helper()
	if s.t.Failed() {
		return
	}
	if s.world.serves && !strings.Contains(s.picture(), "OLD") {
		s.lane.live = s.wanted
	}
	if err := s.db.Close(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	s.lane.rest()
	s.finished = true
	s.matrix.giveBack(s.lane)
}
