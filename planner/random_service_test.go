package planner_test

import (
	"fmt"
	"slices"
	"time"

	"pleat/spec"
)

func (d *draft) service() draftService {
	s := draftService{uses: []int{d.r.IntN(d.databases)}, strategy: d.strategy(), count: 1 + d.r.IntN(2)}
	if d.databases > 1 && d.one(2) {
		s.uses = append(s.uses, 1-s.uses[0])
	}
	for c := range d.changes {
		if slices.Contains(s.uses, d.changes[c].database) {
			s.bears |= 1 << c
		}
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
	switch d.r.IntN(8) {
	case 0:
		s = draftStrategy{kind: spec.AllAtOnce}
	case 1:
		return draftStrategy{kind: spec.Offline}
	case 2:
		s.order, s.batch = spec.StopFirst, spec.Batch{Percent: 50}
	case 3:
		s = draftStrategy{kind: spec.Canary}
	case 4:
		s = draftStrategy{kind: spec.BlueGreen}
	case 5:
		s = draftStrategy{kind: spec.Cycle}
	}
	if d.one(3) && s.order != spec.StopFirst {
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
