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
	bears    uint8 // the changes of those, as bits
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

// steps are those of the block that the strategy is written as.
func (s draftStrategy) steps() []*spec.TrafficStep {
	switch s.kind {
	case spec.Canary:
		return []*spec.TrafficStep{{Weight: 10, Hold: time.Minute}, {Weight: 50}}
	case spec.BlueGreen:
		return []*spec.TrafficStep{{}}
	}
	return nil
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
