package planner_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// draft is a random world in plain numbers: what a spec says, and what is live.
// It is printed as files, built as a spec, and searched by trying everything.
type draft struct {
	seed        uint64
	r           *rand.Rand
	databases   int
	changes     []draftChange
	directories []draftDirectory
	services    []draftService
	start       node
}

type draftChange struct {
	database int
	after    []int
	absent   []draftRef // releases that must be gone before it expands
	synced   bool
	backfill bool
	verify   bool
	contract bool
}

type draftRef struct{ service, release int }

type draftDirectory struct {
	database int
	files    []uint64
	target   int // index of files that should be live
	dirty    bool
	live     uint64 // only where it differs from what start says
}

type draftService struct {
	uses     []int // databases, the first is its own
	after    []int
	strategy draftStrategy
	count    int
	target   int
	// releases are those of the spec; then the one that only the journal has,
	// where gone says so.
	releases []draftRelease
	gone     bool
	resting  uint8 // live releases that get no requests any more
}

type draftStrategy struct {
	kind  spec.StrategyKind
	order spec.Order
	batch spec.Batch
	keep  time.Duration
}

type draftRelease struct {
	version   string
	ancestors []string
	schema    []int
	known     uint8 // schema and all before, as bits
	needs     []int
	tolerates []int
	ranges    []draftRange
	onStart   bool
	stop      bool
}

type draftRange struct {
	directory       int
	min, max, ships uint64
}

// The releases of a service that are in no spec, by their bit in a mix.
const (
	recorded = 6 // only the journal has it
	unknown  = 7 // nothing declares it
)

// most are the limits of a world.
const (
	mostServices    = 3
	mostChanges     = 6
	mostDirectories = 2
)

func newDraft(seed uint64) *draft {
	d := &draft{seed: seed, r: rand.New(rand.NewPCG(seed, 1)), databases: 1}
	if d.one(4) {
		d.databases = 2
	}
	for range 1 + d.r.IntN(mostChanges) {
		d.changes = append(d.changes, d.change())
	}
	if d.one(2) {
		for range 1 + d.r.IntN(mostDirectories) {
			d.directories = append(d.directories, d.directory())
		}
	}
	for range 1 + d.r.IntN(mostServices) {
		d.services = append(d.services, d.service())
	}
	d.orderServices()
	d.requireAbsence()
	d.live()
	return d
}

// one is true once in n times.
func (d *draft) one(n int) bool { return d.r.IntN(n) == 0 }

func (d *draft) change() draftChange {
	c := draftChange{database: d.r.IntN(d.databases)}
	for i, before := range d.changes {
		if (before.database == c.database || d.one(6)) && d.one(3) {
			c.after = append(c.after, i)
		}
	}
	if d.one(3) {
		return c
	}
	c.synced = !d.one(4)
	c.backfill = c.synced || !d.one(3)
	c.verify = d.one(2)
	c.contract = !d.one(3)
	return c
}

// directory has one to four versions, which may be years apart.
func (d *draft) directory() draftDirectory {
	m := draftDirectory{database: d.r.IntN(d.databases)}
	at := uint64(0)
	for range 1 + d.r.IntN(4) {
		at += 1 + uint64(d.r.IntN(3))
		m.files = append(m.files, at)
	}
	m.target = len(m.files) - 1
	if d.one(4) {
		m.target = d.r.IntN(len(m.files))
	}
	return m
}

func (d *draft) service() draftService {
	s := draftService{uses: []int{d.r.IntN(d.databases)}, strategy: d.strategy(), count: 1 + d.r.IntN(2)}
	if d.databases > 1 && d.one(2) {
		s.uses = append(s.uses, 1-s.uses[0])
	}
	n, line := 1+d.r.IntN(6), d.one(2)
	names := d.r.Perm(n + 1)
	if s.gone = d.one(3); s.gone {
		n++
	}
	known := 0
	for i := range n {
		known = min(known+d.r.IntN(3), len(d.changes))
		r := d.release(&s, known)
		r.version = fmt.Sprintf("v%d", names[min(i, len(names)-1)])
		if line && i > 0 {
			r.ancestors = append(r.ancestors, s.releases[d.r.IntN(i)].version)
		}
		if line && d.one(8) {
			r.ancestors = append(r.ancestors, "lost")
		}
		s.releases = append(s.releases, r)
	}
	if s.gone {
		// What only the journal has is among the oldest as often as not.
		s.releases = append(s.releases[1:], s.releases[0])
	}
	s.target = d.r.IntN(s.declared())
	if !d.one(4) {
		s.target = s.declared() - 1
	}
	d.ranges(&s)
	return s
}

// declared counts the releases that the spec has.
func (s *draftService) declared() int {
	if s.gone {
		return len(s.releases) - 1
	}
	return len(s.releases)
}

// at is the release of a bit in a mix, nil where nothing declares it.
func (s *draftService) at(bit int) *draftRelease {
	switch {
	case bit < s.declared():
		return &s.releases[bit]
	case bit == recorded && s.gone:
		return &s.releases[len(s.releases)-1]
	}
	return nil
}

func (s *draftService) version(bit int) string {
	if r := s.at(bit); r != nil {
		return r.version
	}
	return "stranger"
}

// bit is the other way round.
func (s *draftService) bit(version string) int {
	for bit := range unknown {
		if r := s.at(bit); r != nil && r.version == version {
			return bit
		}
	}
	return unknown
}

func (d *draft) strategy() draftStrategy {
	s := draftStrategy{kind: spec.Rolling, order: spec.StartFirst, batch: spec.Batch{Count: 1}}
	switch d.r.IntN(5) {
	case 0:
		s = draftStrategy{kind: spec.AllAtOnce}
	case 1:
		return draftStrategy{kind: spec.Offline}
	case 2:
		s.order, s.batch = spec.StopFirst, spec.Batch{Percent: 50}
	}
	if d.one(4) {
		s.keep = 30 * time.Minute
	}
	return s
}

// release knows changes of its own databases, among the first ones that there
// are.
func (d *draft) release(s *draftService, known int) draftRelease {
	r := draftRelease{stop: d.one(8)}
	for c := range d.changes {
		own := slices.Contains(s.uses, d.changes[c].database)
		switch {
		case c < known && own:
			r.schema = append(r.schema, c)
		case c >= known && d.one(3):
			r.tolerates = append(r.tolerates, c)
		}
	}
	r.known = d.reach(r.schema)
	if len(r.schema) > 0 && d.one(4) {
		r.needs = append(r.needs, r.schema[d.r.IntN(len(r.schema))])
	}
	return r
}

// ranges says for some of a service's directories with which versions each of
// its releases runs.
func (d *draft) ranges(s *draftService) {
	for i, m := range d.directories {
		if !slices.Contains(s.uses, m.database) || d.one(3) {
			continue
		}
		for v := range s.releases {
			r := &s.releases[v]
			for range 1 + d.r.IntN(5)/4 {
				r.ranges = append(r.ranges, d.versions(i, m))
			}
		}
		if s.strategy.kind != spec.Offline {
			s.closeGaps(i, m)
		}
	}
	for v := range s.releases {
		r := &s.releases[v]
		if len(r.ranges) > 0 && d.one(8) {
			d.migrateOnStart(r)
		}
	}
	if old := s.at(recorded); old != nil && d.one(4) {
		// It was recorded before its service had anything to say of versions.
		old.ranges, old.onStart = nil, false
	}
}

func (d *draft) versions(i int, m draftDirectory) draftRange {
	low := d.r.IntN(len(m.files)+1) - 1
	high := max(low, 0) + d.r.IntN(len(m.files)-max(low, 0))
	out := draftRange{directory: i, max: m.files[high]}
	if low >= 0 {
		out.min = m.files[low]
	}
	out.ships = out.min
	if d.one(3) {
		out.ships = m.files[max(low, 0)+d.r.IntN(high-max(low, 0)+1)]
	}
	if d.one(2) {
		out.max = 0
	}
	return out
}

// closeGaps widens ranges so that the schema can pass every version between
// the first and the last while one release of the spec or another lives with it.
func (s *draftService) closeGaps(i int, m draftDirectory) {
	covered := func(v uint64) bool {
		return slices.ContainsFunc(s.releases[:s.declared()], func(r draftRelease) bool {
			return slices.ContainsFunc(r.ranges, func(x draftRange) bool { return x.directory == i && x.holds(v) })
		})
	}
	for _, v := range m.files {
		if covered(v) {
			continue
		}
		for n := range s.releases[:s.declared()] {
			for j, x := range s.releases[n].ranges {
				if x.directory == i && x.max != 0 && x.max < v {
					s.releases[n].ranges[j].max = v
				}
			}
		}
	}
}

func (x draftRange) holds(v uint64) bool { return x.min <= v && (x.max == 0 || v <= x.max) }

// migrateOnStart makes a release ship one of the versions of each of its ranges.
func (d *draft) migrateOnStart(r *draftRelease) {
	r.onStart = true
	for i := range r.ranges {
		x := &r.ranges[i]
		for _, v := range d.directories[x.directory].files {
			if x.holds(v) && (x.ships < max(x.min, 1) || d.one(2)) {
				x.ships = v
			}
		}
	}
}

func (d *draft) orderServices() {
	for i := range d.services {
		for j := range i {
			if d.one(4) {
				d.services[i].after = append(d.services[i].after, j)
			}
		}
	}
}

// requireAbsence makes some expands wait until a release is gone.
func (d *draft) requireAbsence() {
	for c := range d.changes {
		if !d.one(5) {
			continue
		}
		s := d.r.IntN(len(d.services))
		r := d.r.IntN(d.services[s].declared())
		if !d.services[s].releases[r].knows(c) {
			d.changes[c].absent = append(d.changes[c].absent, draftRef{s, r})
		}
	}
}

// live draws how far the schema is, and releases that can live with it.
func (d *draft) live() {
	begun := !d.one(3)
	for c := range d.changes {
		if begun && !slices.ContainsFunc(d.changes[c].after, func(b int) bool { return d.start.phases[b] == absent }) {
			d.start.phases[c] = d.somePhase(c)
		}
	}
	for i, m := range d.directories {
		d.start.versions[i] = uint8(d.r.IntN(m.target + 2))
		d.refused(i)
	}
	for s := range d.services {
		d.liveService(s)
	}
}

// refused makes a version now and then one that no plan is made for.
func (d *draft) refused(i int) {
	m := &d.directories[i]
	switch d.r.IntN(40) {
	case 0:
		m.dirty = true
	case 1:
		m.live = m.files[len(m.files)-1] + 1
	case 2, 3:
		m.live = m.files[min(m.target+1, len(m.files)-1)]
	}
}

func (d *draft) somePhase(c int) uint8 {
	last := verified
	if d.changes[c].contract {
		last = contracted
	}
	if !d.one(3) {
		last = expanded
	}
	return d.through(c, uint8(d.r.IntN(int(last)+1)))
}

func (d *draft) liveService(s int) {
	service := &d.services[s]
	var fit []int
	for bit := range unknown + 1 {
		if bit == unknown && !d.one(4) || bit < unknown && service.at(bit) == nil {
			continue
		}
		if d.lives(d.start, s, bit) {
			fit = append(fit, bit)
		}
	}
	d.r.Shuffle(len(fit), func(i, j int) { fit[i], fit[j] = fit[j], fit[i] })
	n := []int{0, 1, 1, 1, 1, 1, 1, 2, 2, 3}[d.r.IntN(10)]
	for _, bit := range fit[:min(n, len(fit))] {
		d.start.mix[s] |= 1 << bit
	}
	if service.strategy.keep > 0 && d.start.mix[s]&(1<<service.target) != 0 && d.one(2) {
		service.resting = d.start.mix[s] &^ (1 << service.target)
	}
}

func (d *draft) changeName(c int) string    { return fmt.Sprintf("change_%d", c) }
func (d *draft) serviceName(s int) string   { return fmt.Sprintf("service_%d", s) }
func (d *draft) databaseName(n int) string  { return []string{"main", "other"}[n] }
func (d *draft) directoryName(i int) string { return fmt.Sprintf("dir_%d", i) }

// phaseNames are the phases of a node.
var phaseNames = []migrations.Phase{
	migrations.Absent, migrations.Expanded, migrations.Backfilled, migrations.Verified, migrations.Hidden, migrations.Contracted,
}
