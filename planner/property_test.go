package planner_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// worlds is how many random worlds a property is tried on.
func worlds() int {
	if os.Getenv("PLEAT_TEST_LONG") != "" {
		return 20000
	}
	return 300
}

// anyLineage lets random releases replace each other, whatever their code
// contains.
var anyLineage = planner.Goal{AcceptLineage: "a random world"}

// In random worlds a plan is carried out step by step. After every step each
// release that may be running can live with the schema; no step needs one that
// comes later; and planning again at the end finds nothing to do.
func TestPlansAreSafeAndComplete(t *testing.T) {
	planned := 0
	for seed := range worlds() {
		w := randomWorld(uint64(seed))
		plan, diags := planner.Make(w.spec, w.state, anyLineage)
		if plan == nil {
			if !diags.HasErrors() {
				t.Fatalf("seed %d: neither a plan nor a reason", seed)
			}
			continue
		}
		planned++
		ordered(t, seed, plan)
		for _, s := range plan.Steps {
			if s.Deferred != "" {
				continue
			}
			w.take(s)
			if meeting := w.illegal(); meeting != "" {
				t.Fatalf("seed %d: after %s: %s", seed, s.ID, meeting)
			}
		}
		w.settle()
		again, diags := planner.Make(w.spec, w.state, anyLineage)
		if again == nil {
			t.Fatalf("seed %d: planning again: %s", seed, diags)
		}
		if again.Now() > 0 {
			t.Fatalf("seed %d: planning again wants %s", seed, titles(again))
		}
	}
	if planned < worlds()/2 {
		t.Errorf("only %d of %d worlds had a plan: the generator proves too little", planned, worlds())
	}
}

// A rollout that is cut short anywhere is planned to its end from where it
// stands, and ends in the same place.
func TestPlanOfAnyPrefixIsTheRest(t *testing.T) {
	for seed := range worlds() {
		w := randomWorld(uint64(seed))
		plan, _ := planner.Make(w.spec, w.state, anyLineage)
		if plan == nil || plan.Now() == 0 {
			continue
		}
		whole := randomWorld(uint64(seed))
		whole.run(plan)
		cut := rand.New(rand.NewPCG(uint64(seed), 7)).IntN(len(plan.Steps))
		for _, s := range plan.Steps[:cut] {
			if s.Deferred == "" {
				w.take(s)
			}
		}
		w.settle()
		rest, diags := planner.Make(w.spec, w.state, anyLineage)
		if rest == nil {
			t.Fatalf("seed %d: cut after %d: %s", seed, cut, diags)
		}
		w.run(rest)
		if got, want := w.digest(), whole.digest(); got != want {
			t.Fatalf("seed %d: cut after %d steps, it ends in\n%s\nand uncut in\n%s", seed, cut, got, want)
		}
	}
}

// The undo of every step of a rollout, the last first, leads back.
func TestUndoLeadsBack(t *testing.T) {
	for seed := range worlds() {
		w := randomWorld(uint64(seed))
		before := w.digest()
		plan, _ := planner.Make(w.spec, w.state, anyLineage)
		if plan == nil || plan.Irreversible() > 0 {
			continue
		}
		for _, s := range plan.Steps {
			w.take(s)
		}
		for i := len(plan.Steps) - 1; i >= 0; i-- {
			if s := plan.Steps[i]; s.Undo != nil && s.Undo.Action != nil {
				s.Action = s.Undo.Action
				w.take(s)
			}
		}
		w.forget()
		if got := w.digest(); got != before {
			t.Fatalf("seed %d: undone, it is\n%s\nand was\n%s", seed, got, before)
		}
	}
}

// The same inputs give the same bytes, however many processors there are.
func TestPlansAreDeterministic(t *testing.T) {
	bytesOf := func(seed int) []byte {
		w := randomWorld(uint64(seed))
		plan, diags := planner.Make(w.spec, w.state, anyLineage)
		if plan == nil {
			return []byte(diags.Error())
		}
		return encode(t, plan)
	}
	one := map[int][]byte{}
	for _, processors := range []int{1, 8} {
		before := runtime.GOMAXPROCS(processors)
		for seed := range worlds() / 2 {
			got := bytesOf(seed)
			if one[seed] == nil {
				one[seed] = got
			}
			if !bytes.Equal(got, one[seed]) {
				t.Errorf("seed %d: other bytes", seed)
			}
		}
		runtime.GOMAXPROCS(before)
	}
}

func ordered(t *testing.T, seed int, plan *planner.Plan) {
	seen := map[string]bool{}
	for _, s := range plan.Steps {
		if s.Cause == "" || s.Safety == "" {
			t.Fatalf("seed %d: %s has no cause or no safety", seed, s.ID)
		}
		if seen[s.ID] {
			t.Fatalf("seed %d: two steps are %s", seed, s.ID)
		}
		seen[s.ID] = true
		for _, need := range s.Needs {
			if !seen[need] {
				t.Fatalf("seed %d: %s needs %s, which comes later or never", seed, s.ID, need)
			}
		}
	}
}

func titles(p *planner.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, fmt.Sprintf("%s %s", s.Kind, s.Title))
	}
	return out
}

// random is a world: a spec and what is live.
type random struct {
	spec  *spec.Spec
	state *planner.State
	r     *rand.Rand
}

var users = spec.Table{Schema: "public", Name: "users"}

// randomWorld makes up to 6 changes of one table in a line, up to 3 services
// with up to 6 releases each, and some of them live.
func randomWorld(seed uint64) *random {
	w := &random{r: rand.New(rand.NewPCG(seed, 1)), spec: &spec.Spec{}}
	db := &spec.Database{Name: "main", Lock: spec.LockBudget{Timeout: 100 * time.Millisecond, Hold: time.Second, Patience: time.Minute}}
	o := &spec.Orchestrator{Kind: "host", Name: "local"}
	router := &spec.Router{Kind: "proxy", Name: "edge"}
	w.spec.Databases, w.spec.Orchestrators, w.spec.Routers = []*spec.Database{db}, []*spec.Orchestrator{o}, []*spec.Router{router}
	for n := range 1 + w.r.IntN(6) {
		w.spec.Changes = append(w.spec.Changes, w.change(n, db))
	}
	for n := range 1 + w.r.IntN(3) {
		w.spec.Services = append(w.spec.Services, w.service(n, db, o, router))
	}
	w.live()
	w.requireAbsence()
	return w
}

// requireAbsence makes some expands wait until a release is gone.
func (w *random) requireAbsence() {
	for _, c := range w.spec.Changes {
		if w.r.IntN(4) > 0 {
			continue
		}
		s := w.spec.Services[w.r.IntN(len(w.spec.Services))]
		if r := s.Releases[w.r.IntN(len(s.Releases))]; !reaches(r.Schema, c) {
			c.RequiresAbsent = append(c.RequiresAbsent, r)
		}
	}
}

// change adds a column; one in two is synced with an old one, back-filled,
// and takes the old one away.
func (w *random) change(n int, db *spec.Database) *spec.Change {
	name, old := fmt.Sprintf("new%d", n), fmt.Sprintf("old%d", n)
	c := &spec.Change{Name: fmt.Sprintf("change_%d", n), Database: db}
	if n > 0 && w.r.IntN(2) == 0 {
		c.After = []*spec.Change{w.spec.Changes[w.r.IntN(n)]}
	}
	c.Expand = []spec.Operation{&spec.AddColumn{Table: users, Column: spec.Column{Name: name, Type: "text"}}}
	if w.r.IntN(3) == 0 {
		return c
	}
	if w.r.IntN(4) > 0 {
		c.Expand = append(c.Expand, &spec.Sync{Table: users, Forward: map[string]string{name: old}, Backward: map[string]string{old: name}})
	}
	c.Backfills = []*spec.Backfill{{Table: users, Set: map[string]string{name: old}, Batch: 100}}
	c.Verifies = []*spec.Verify{{Name: "agree", SQL: "select 1"}}
	if w.r.IntN(3) > 0 {
		c.Contract = &spec.Contract{Operations: []spec.Operation{&spec.DropColumn{Table: users, Column: old}}}
	}
	return c
}

// service has releases in a line, each knowing a few changes more.
func (w *random) service(n int, db *spec.Database, o *spec.Orchestrator, router *spec.Router) *spec.Service {
	kinds := []*spec.Strategy{
		{Kind: spec.AllAtOnce}, {Kind: spec.Rolling, Batch: spec.Batch{Count: 1}, Order: spec.StartFirst},
		{Kind: spec.Rolling, Batch: spec.Batch{Percent: 50}, Order: spec.StopFirst},
	}
	s := &spec.Service{Name: fmt.Sprintf("service_%d", n), Database: db, Orchestrator: o, Router: router, Strategy: kinds[w.r.IntN(len(kinds))]}
	p := &spec.Process{Name: "web", Count: 1 + w.r.IntN(3), Routed: true, Drain: spec.DefaultDrain()}
	s.Processes = []*spec.Process{p}
	known, line := 0, w.r.IntN(2) == 0
	for v := range 1 + w.r.IntN(6) {
		r := &spec.Release{Service: s, Version: fmt.Sprintf("r%d", v), Artifact: spec.Artifact{Path: "bin", SHA256: fmt.Sprintf("%064d", v)}, Processes: s.Processes}
		known = min(known+w.r.IntN(3), len(w.spec.Changes))
		r.Schema = w.spec.Changes[:known]
		for _, c := range w.spec.Changes[known:] {
			if w.r.IntN(4) == 0 {
				r.Tolerates = append(r.Tolerates, c)
			}
		}
		if known > 0 && w.r.IntN(4) == 0 {
			r.NeedsBackfill = []*spec.Change{w.spec.Changes[known-1]}
		}
		if line && v > 0 {
			r.Ancestors = []string{s.Releases[w.r.IntN(v)].Version}
		}
		s.Releases = append(s.Releases, r)
	}
	s.Release = s.Releases[w.r.IntN(len(s.Releases))]
	return s
}

// live starts every service at a release, or none, that lives with the bare
// table.
func (w *random) live() {
	t := &migrations.Table{PrimaryKey: []string{"id"}, Columns: []migrations.Column{{Name: "id", Type: "bigint", NotNull: true}}}
	for n := range w.spec.Changes {
		t.Columns = append(t.Columns, migrations.Column{Name: fmt.Sprintf("old%d", n), Type: "text"})
	}
	o := &planner.Orchestrator{Identity: "o", Hosts: []string{"one", "two"}}
	w.state = &planner.State{
		Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
		Databases: map[string]*planner.Database{"main": {
			Identity: "d", Catalog: &migrations.Catalog{Tables: map[string]*migrations.Table{"users": t}}, Changes: map[string]migrations.Recorded{},
		}},
		Orchestrators: map[string]*planner.Orchestrator{"orchestrator.host.local": o},
		Routers:       map[string]*planner.Router{"router.proxy.edge": {Identity: "r"}},
	}
	for _, s := range w.spec.Services {
		for _, r := range s.Releases {
			if len(r.Schema) > 0 || w.r.IntN(2) == 0 {
				continue
			}
			for n := range s.Processes[0].Count {
				name := fmt.Sprintf("web.%d", n+1)
				w.start(planner.Instance{Service: s.Name, Release: r.Version, Process: "web", Name: name, Host: "one", Digest: r.Artifact.SHA256, State: planner.Up})
				w.attach(s.Name, r.Version, name)
			}
			break
		}
	}
}

func (w *random) start(i planner.Instance) {
	o := w.state.Orchestrators["orchestrator.host.local"]
	o.Instances = append(slices.DeleteFunc(o.Instances, func(x planner.Instance) bool {
		return x.Service == i.Service && x.Release == i.Release && x.Name == i.Name
	}), i)
}

func (w *random) attach(service, release, instance string) {
	w.detach(service, release, instance)
	r := w.state.Routers["router.proxy.edge"]
	r.Backends = append(r.Backends, planner.Backend{Service: service, Release: release, Instance: instance})
}

func (w *random) detach(service, release, instance string) {
	r := w.state.Routers["router.proxy.edge"]
	r.Backends = slices.DeleteFunc(r.Backends, func(b planner.Backend) bool {
		return b.Service == service && b.Release == release && b.Instance == instance
	})
}

// take is the effect of a step on what is live.
func (w *random) take(s planner.Step) {
	switch a := s.Action.(type) {
	case *planner.Start:
		for _, at := range a.Instances {
			w.start(planner.Instance{Service: a.Service, Release: a.Release, Process: a.Definition.Process, Name: at.Instance, Host: at.Host, Digest: a.Artifact.SHA256, State: planner.Up})
		}
	case *planner.Stop:
		o := w.state.Orchestrators["orchestrator.host.local"]
		for _, at := range a.Instances {
			o.Instances = slices.DeleteFunc(o.Instances, func(x planner.Instance) bool {
				return x.Service == a.Service && x.Release == a.Release && x.Name == at.Instance
			})
		}
	case *planner.Attach:
		for _, at := range a.Instances {
			w.attach(a.Service, a.Release, at.Instance)
		}
	case *planner.Drain:
		for _, at := range a.Instances {
			w.detach(a.Service, a.Release, at.Instance)
		}
	case *planner.Transaction:
		w.record(a.Change, a.Unit, !a.Reverse, a.Phase, a.Digest)
	case *planner.Backfill:
		w.record(a.Change, a.Unit, true, a.Phase, a.Digest)
	case *planner.Verify:
		w.record(a.Change, "", true, a.Phase, a.Digest)
	}
}

func (w *random) record(change, unit string, done bool, phase migrations.Phase, digest string) {
	r := w.state.Databases["main"].Changes[change]
	if r.Units == nil {
		r.Units = map[string]bool{}
	}
	if phase != "" {
		r.Phase = phase
	}
	r.Digest = digest
	r.Units[unit] = done
	w.state.Databases["main"].Changes[change] = r
}

// run carries a plan out.
func (w *random) run(p *planner.Plan) {
	for _, s := range p.Steps {
		if s.Deferred == "" {
			w.take(s)
		}
	}
	w.settle()
}

// settle makes the catalog show what the phases say. A change that was cut
// short within a phase stands where the phase began.
func (w *random) settle() {
	db := w.state.Databases["main"]
	for _, c := range w.spec.Changes {
		program, _ := migrations.Lower(c, db.Catalog)
		db.Catalog = migrations.Project(db.Catalog, program, w.phase(c))
	}
}

func (w *random) phase(c *spec.Change) migrations.Phase {
	if p := w.state.Databases["main"].Changes[c.Name].Phase; p != "" {
		return p
	}
	return migrations.Absent
}

// forget drops the record of changes that were taken back.
func (w *random) forget() {
	db := w.state.Databases["main"]
	for _, c := range w.spec.Changes {
		if w.phase(c) == migrations.Absent {
			delete(db.Changes, c.Name)
		}
	}
}

// illegal is design.md §3 once more, in other words than the planner's: who
// is live and cannot live with a change as it is.
func (w *random) illegal() string {
	rank := map[migrations.Phase]int{"absent": 0, "expanded": 1, "backfilled": 2, "verified": 3, "hidden": 4, "contracted": 5}
	for _, i := range w.state.Orchestrators["orchestrator.host.local"].Instances {
		release := w.release(i)
		for _, c := range w.spec.Changes {
			at := rank[w.phase(c)]
			knows := reaches(release.Schema, c)
			switch {
			case knows && at < 1:
				return fmt.Sprintf("%s %s needs %s, which is absent", i.Service, i.Release, c.Name)
			case knows && at < 2 && slices.Contains(release.NeedsBackfill, c):
				return fmt.Sprintf("%s %s needs %s back-filled", i.Service, i.Release, c.Name)
			case !knows && at > 3 && !slices.Contains(release.Tolerates, c):
				return fmt.Sprintf("%s %s does not know %s, which is %s", i.Service, i.Release, c.Name, w.phase(c))
			}
		}
	}
	return ""
}

func (w *random) release(i planner.Instance) *spec.Release {
	for _, s := range w.spec.Services {
		if s.Name == i.Service {
			return s.Lookup(i.Release)
		}
	}
	return nil
}

func reaches(from []*spec.Change, c *spec.Change) bool {
	for _, f := range from {
		if f == c || reaches(f.After, c) {
			return true
		}
	}
	return false
}

// digest is what is live, in words that compare.
func (w *random) digest() string {
	var lines []string
	for _, i := range w.state.Orchestrators["orchestrator.host.local"].Instances {
		lines = append(lines, i.Service+" "+i.Release+" "+i.Name)
	}
	for _, b := range w.state.Routers["router.proxy.edge"].Backends {
		lines = append(lines, "routed "+b.Service+" "+b.Release+" "+b.Instance)
	}
	for _, c := range w.spec.Changes {
		lines = append(lines, c.Name+" "+string(w.phase(c)))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%q", lines)
}
