// Package planner turns a spec and the state of the world into an ordered
// plan. It is pure: no clock, no I/O, no randomness, no goroutine; the same
// inputs give the same bytes on any machine. Its one invariant: in every state
// that a plan passes through, every release that may be running can live with
// the schema as it is then.
package planner

import (
	"cmp"
	"maps"
	"sort"
	"time"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations"
	"pleat/spec"
)

// Goal is what a plan is for, beyond what the spec says.
type Goal struct {
	// Rollback marks a plan back: no contract step is planned, and releases on
	// hold may be left.
	Rollback bool
	// Releases overrides the release that the spec wants, by service.
	Releases map[string]string
	// Revert names changes whose expand is to be taken back.
	Revert []string
	// LiftHold is the reason for which releases on hold may be rolled out.
	LiftHold string
	// AcceptLineage is the reason for which a release may replace a live one
	// that its code does not contain.
	AcceptLineage string
	// Overrides are windows that are not kept to.
	Overrides []Override
	// Scale is how many instances processes should have, by service and process.
	// The plan is for nothing else then.
	Scale map[string]map[string]int
	// MaxWait is how long evidence, soak and hide may be waited for inside the
	// run; what needs longer is deferred. 0 means DefaultMaxWait, NoWait none.
	MaxWait time.Duration
	// TTL is how long a saved plan may be applied. 0 means DefaultTTL.
	TTL time.Duration
}

// Defaults of a Goal.
const (
	DefaultMaxWait = time.Minute
	DefaultTTL     = 24 * time.Hour
)

// NoWait is the MaxWait of a goal for which nothing is waited.
const NoWait time.Duration = -1

// wait is how long anything may be waited for.
func (g Goal) wait() time.Duration {
	if g.MaxWait == 0 {
		return DefaultMaxWait
	}
	return max(g.MaxWait, 0)
}

// Make plans the way from the state to the spec. The plan is nil when the
// diagnostics hold an error; it is never partial.
func Make(sp *spec.Spec, st *State, goal Goal) (*Plan, hcl.Diagnostics) {
	if len(goal.Scale) > 0 {
		return scale(sp, st, goal)
	}
	p := newPlanning(sp, st, goal)
	p.lower()
	p.checkReleases()
	p.checkKeys()
	p.checkDirectories()
	spec.SortByPlace(p.diags)
	if p.diags.HasErrors() {
		return nil, p.diags
	}
	moves, stuck := p.search()
	for _, d := range stuck {
		p.diags = append(p.diags, d.explain()...)
	}
	if p.diags.HasErrors() {
		return nil, p.diags
	}
	return p.carry(moves)
}

// carry is the plan of these moves.
func (p *planning) carry(moves []move) (*Plan, hcl.Diagnostics) {
	e := newEmitter(p)
	e.emit(moves)
	e.checkAbilities()
	plan := e.finish()
	if p.diags.HasErrors() {
		return nil, p.diags
	}
	return plan, p.diags
}

// Wish is the digest of what a spec and a goal ask for, as a plan made for
// them would carry it, wherever it started.
func Wish(sp *spec.Spec, st *State, goal Goal) string {
	p := newPlanning(sp, st, goal)
	p.lower()
	return p.wish()
}

// planning is everything known while one plan is made.
type planning struct {
	spec     *spec.Spec
	state    *State
	goal     Goal
	diags    hcl.Diagnostics
	declared map[releaseKey]*declaration
	changes  []*spec.Change // in order of `after`, ties by name
	programs map[string]*migrations.Program
	start    world
	drift    []string

	byName    map[string]*spec.Service
	position  map[string]int                 // of a change in changes
	instances map[string][]Instance          // by service
	strangers []string                       // services that run and are in no spec
	taken     []*spec.Change                 // those hidden or contracted at the start
	waiting   map[string]migrations.Wait     // why changes cannot begin yet, by name
	delayed   map[*spec.Service]lateness     // services that do not come to their release yet
	via       map[*spec.Service]string       // releases that some of those go to meanwhile
	bars      map[string]string              // who keeps changes waiting for ever, by name
	lines     map[releaseKey]map[string]bool // lineages that were asked for
	bearings  map[releaseKey][]*spec.Change  // and what bears on releases
	stops     map[string][]string            // required ones, by service
	unmade    map[object]int                 // of notMade, once somebody asks
}

func newPlanning(sp *spec.Spec, st *State, goal Goal) *planning {
	goal.MaxWait = goal.wait()
	if goal.TTL == 0 {
		goal.TTL = DefaultTTL
	}
	p := &planning{
		spec: sp, state: st, goal: goal,
		declared: declarations(sp, st),
		changes:  spec.InOrder(sp.Changes),
		programs: map[string]*migrations.Program{},
		byName:   map[string]*spec.Service{}, position: map[string]int{}, instances: map[string][]Instance{},
		lines: map[releaseKey]map[string]bool{}, bearings: map[releaseKey][]*spec.Change{}, stops: map[string][]string{},
		waiting: map[string]migrations.Wait{}, delayed: map[*spec.Service]lateness{}, via: map[*spec.Service]string{},
	}
	for _, s := range sp.Services {
		p.byName[s.Name] = s
	}
	for k, d := range p.declared {
		if d.release.RequiredStop {
			p.stops[k.service] = append(p.stops[k.service], k.version)
		}
	}
	for _, versions := range p.stops {
		sort.Strings(versions)
	}
	for i, c := range p.changes {
		p.position[c.Name] = i
	}
	for _, i := range liveInstances(st) {
		p.instances[i.Service] = append(p.instances[i.Service], i)
	}
	p.start = newWorld()
	p.start.mix = liveMix(sp, st)
	for _, d := range sp.Migrations {
		p.start.versions[d.Name] = p.liveVersion(d).Version
	}
	for _, s := range sp.Services {
		if kept := p.keptAtStart(s); kept != nil {
			p.start.kept[s.Name] = kept
		}
	}
	for _, name := range sortedKeys(p.start.mix) {
		if p.byName[name] == nil {
			p.strangers = append(p.strangers, name)
		}
	}
	return p
}

// lower turns every change into SQL against the catalog as it will be when the
// changes before it are there, and derives the phases of the start.
func (p *planning) lower() {
	catalogs := map[string]*migrations.Catalog{}
	for name, db := range p.state.Databases {
		cat := *db.Catalog
		cat.Tables, cat.Promised = maps.Clone(cat.Tables), p.promised(name)
		cat.Remade, cat.Written, cat.Named, cat.Endless = p.remade(name), p.written(name), p.named(name), p.endless(name)
		catalogs[name] = &cat
	}
	taken := p.untake(catalogs)
	for _, c := range p.changes {
		cat := catalogs[c.Database.Name]
		if cat == nil {
			continue
		}
		if own, ok := taken[c.Name]; ok {
			program, phase := p.lowerOne(c, own.catalog)
			if !phase.AtLeast(migrations.Expanded) {
				own.catalog = migrations.Project(own.catalog, program, migrations.Expanded)
			}
			own.leave(cat, c)
			continue
		}
		own := p.part(c, cat)
		program, phase := p.lowerOne(c, own.catalog)
		if !phase.AtLeast(migrations.Expanded) {
			phase = migrations.Expanded
		}
		own.catalog = migrations.Project(own.catalog, program, phase)
		own.leave(cat, c)
	}
}

// promised is what changes and directories that have not run yet make of a
// database, of which its catalog knows nothing.
func (p *planning) promised(database string) []migrations.Promise {
	var all []migrations.Promise
	for _, c := range p.changes {
		if c.Database.Name == database && !p.recorded(c).Phase.AtLeast(migrations.Contracted) {
			all = append(all, migrations.Promises(c)...)
		}
	}
	for _, d := range p.spec.Migrations {
		for _, f := range d.Files {
			if d.Database.Name == database && f.Version > p.start.versions[d.Name] {
				all = append(all, migrations.Promise{SQL: f.Up})
			}
		}
	}
	return all
}

// written is the SQL of authors for a database.
func (p *planning) written(database string) []migrations.Promise {
	var all []migrations.Promise
	for _, c := range p.changes {
		for _, op := range c.Operations() {
			if o, ok := op.(*spec.SQL); ok && c.Database.Name == database {
				all = append(all, migrations.Promise{SQL: o.Up})
			}
		}
	}
	for _, d := range p.spec.Migrations {
		for _, f := range d.Files {
			if d.Database.Name == database {
				all = append(all, migrations.Promise{SQL: f.Up})
			}
		}
	}
	return all
}

// named are the things that the changes of a database name.
func (p *planning) named(database string) map[string]bool {
	var all []spec.Operation
	for _, c := range p.changes {
		if c.Database.Name == database {
			all = append(all, c.Operations()...)
		}
	}
	return migrations.Named(all)
}

// endless are the changes of a database that have no contract.
func (p *planning) endless(database string) map[string]bool {
	out := map[string]bool{}
	for _, c := range p.changes {
		out[c.Name] = c.Database.Name == database && c.Contract == nil
	}
	return out
}

// remade are the indexes of a database that changes replace.
func (p *planning) remade(database string) map[string]bool {
	out := map[string]bool{}
	for _, c := range p.changes {
		for _, op := range c.Operations() {
			if o, ok := op.(*spec.ReplaceIndex); ok && c.Database.Name == database {
				out[spec.Table{Schema: o.Index.Table.Schema, Name: o.Index.Name}.String()] = true
			}
		}
	}
	return out
}

// untake brings back into the catalogs what hidden and contracted changes have
// taken away, and those that take away in expand already: the last first, so
// that an earlier change is judged by what it made and not by what a later one
// took. The result is the catalog that each of those changes is judged by
// itself, and that it leaves to those after it: one of them may have made again
// what it took.
func (p *planning) untake(catalogs map[string]*migrations.Catalog) map[string]part {
	taken := map[string]part{}
	for i := len(p.changes) - 1; i >= 0; i-- {
		c := p.changes[i]
		cat := catalogs[c.Database.Name]
		if cat == nil || c.Contract == nil && len(p.recorded(c).Units) == 0 {
			continue
		}
		own := p.part(c, cat)
		program, diags := migrations.Lower(c, own.catalog)
		if diags.HasErrors() {
			continue // its table is not there yet; else lowerOne says what is wrong
		}
		phase, _ := program.Phase(p.recorded(c))
		if phase.AtLeast(migrations.Hidden) && !p.neverWas(c, program) || program.Takes(p.recorded(c)) {
			taken[c.Name] = own
			own.catalog = migrations.Project(own.catalog, program, migrations.Absent)
			own.leave(cat, c)
		}
	}
	return taken
}

// lowerOne lowers a change against the catalog that it is judged by.
func (p *planning) lowerOne(c *spec.Change, part *migrations.Catalog) (*migrations.Program, migrations.Phase) {
	program, diags := migrations.Lower(c, part)
	p.diags = append(p.diags, diags...)
	p.programs[c.Name] = program
	if !p.goal.Rollback && len(p.goal.Scale) == 0 { // neither runs what has not run
		p.diags = append(p.diags, program.Conflicts(p.recorded(c))...)
	}
	phase, drift := program.Phase(p.recorded(c))
	p.start.phases[c.Name] = p.through(c, phase)
	if phase.AtLeast(migrations.Hidden) {
		p.taken = append(p.taken, c)
	}
	p.drift = append(p.drift, drift...)
	if phase == migrations.Absent {
		p.awaits(c, program)
	}
	return program, phase
}

// waits tells whether a change cannot begin yet.
func (p *planning) waits(c *spec.Change) bool { return p.waiting[c.Name] != (migrations.Wait{}) }

// awaits remembers why a change cannot begin yet: for itself, or for a change
// that comes before it.
func (p *planning) awaits(c *spec.Change, program *migrations.Program) {
	wait := program.Waits(p.recorded(c))
	for _, before := range c.After {
		wait = cmp.Or(wait, p.waiting[before.Name])
	}
	if wait != (migrations.Wait{}) {
		p.waiting[c.Name] = wait
	}
}

// recorded is what pleat's tables say of a change.
func (p *planning) recorded(c *spec.Change) migrations.Recorded {
	if db := p.state.Databases[c.Database.Name]; db != nil {
		return db.Changes[c.Name]
	}
	return migrations.Recorded{}
}

// through skips the phases that a change has nothing to do for.
func (p *planning) through(c *spec.Change, phase migrations.Phase) migrations.Phase {
	if phase == migrations.Expanded && len(c.Backfills) == 0 && !p.fills(c) {
		phase = migrations.Backfilled
	}
	if phase == migrations.Backfilled && len(c.Verifies) == 0 && !p.validates(c) {
		phase = migrations.Verified
	}
	return phase
}

// fills tells whether a change has rows to fill, also without a backfill of
// its own: those of a default that differs from row to row.
func (p *planning) fills(c *spec.Change) bool {
	program := p.programs[c.Name]
	return program != nil && len(program.Backfills) > 0
}

// validates tells whether a change has constraints that come to hold for all
// rows once they are filled.
func (p *planning) validates(c *spec.Change) bool {
	program := p.programs[c.Name]
	return program != nil && len(program.Validate) > 0
}

func problem(summary, detail string, subject hcl.Range) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail}
	if subject.Filename != "" {
		d.Subject = &subject
	}
	return d
}

// Readings are what servers can tell of changes before any of them runs, by the
// database. What they have against them belongs into the catalogs of the state.
func Readings(sp *spec.Spec, st *State) map[string][]migrations.Reading {
	p := newPlanning(sp, st, Goal{})
	p.lower()
	out := map[string][]migrations.Reading{}
	for _, c := range p.changes {
		program := p.programs[c.Name]
		if program == nil {
			continue
		}
		if some := program.Readings(p.recorded(c)); len(some) > 0 {
			out[c.Database.Name] = append(out[c.Database.Name], some...)
		}
	}
	return out
}

// Phase is how far a change has come.
type Phase struct {
	Change string           `json:"change"`
	Phase  migrations.Phase `json:"phase"`
}

// Phases tells how far each change of the spec has come, in order.
func Phases(sp *spec.Spec, st *State) []Phase {
	p := newPlanning(sp, st, Goal{})
	p.lower()
	var out []Phase
	for _, c := range p.changes {
		out = append(out, Phase{c.Name, p.start.phases[c.Name]})
	}
	return out
}
