package spec

import (
	"fmt"
	"slices"
	"strings"
)

// knownBounds reports the bounds of a range that are no version of its
// directory, with the one that was probably meant: a version that was written
// from memory is at the edge of what it stands for.
func (l *loader) knownBounds(n *node, m *Migrations, given map[string]uint64) bool {
	ok := true
	for _, name := range boundNames {
		v := given[name]
		if v == 0 || m.has(v) {
			continue
		}
		ok = false
		l.add(n.at(name), "Unknown version", "%s has no version %d. %s", m.Address(), v, m.meant(v, name == "max"))
	}
	return ok
}

func (m *Migrations) has(version uint64) bool {
	return slices.ContainsFunc(m.Files, func(f Migration) bool { return f.Version == version })
}

// meant names the existing version next to one that does not exist.
func (m *Migrations) meant(version uint64, down bool) string {
	i := slices.IndexFunc(m.Files, func(f Migration) bool { return f.Version > version })
	switch {
	case i < 0:
		return fmt.Sprintf("The newest is %d.", m.Files[len(m.Files)-1].Version)
	case i == 0 && down:
		return fmt.Sprintf("The first is %d.", m.Files[0].Version)
	case down:
		return fmt.Sprintf("Did you mean %d, the last one before it?", m.Files[i-1].Version)
	}
	return fmt.Sprintf("Did you mean %d, the next one after it?", m.Files[i].Version)
}

// checkRange asks whether a release can run with anything in the range, and
// with what it ships.
func (l *loader) checkRange(n *node, r *Release, v VersionRange) {
	newest := v.newest()
	switch {
	case v.Max != 0 && v.Min > v.Max:
		l.add(n.rng(), "Empty range", "The range begins with version %d and ends with %d.", v.Min, v.Max)
	case r.MigrateOnStart && newest == 0:
		l.add(n.rng(), "Nothing to migrate to", "The release migrates on start, but %s has no version in the range.", v.Migrations.Address())
	case !v.holds(v.Ships):
		l.add(n.at("ships"), "Shipped version outside of the range", "The release ships version %d and could not run with it. The newest in the range is %d.", v.Ships, newest)
	}
}

// checkVersions compares the ranges that the releases of a service state.
func (l *loader) checkVersions(s *Service) {
	if l.refusedRanges(s) {
		return
	}
	for _, r := range s.Releases {
		for _, m := range r.directories() {
			l.warnOfSeveral(r, m)
		}
	}
	for _, m := range s.directories() {
		l.checkStated(s, m)
		if s.Strategy.Kind != Offline {
			l.checkGaps(s, m)
		}
	}
}

// refusedRanges tells whether ranges of the service were reported: what is
// missing may be in those.
func (l *loader) refusedRanges(s *Service) bool {
	return l.refused["schema_version"] || slices.ContainsFunc(s.Releases, func(r *Release) bool {
		n := l.releaseNodes[r]
		return n == nil || len(n.blocks("schema_version")) != len(r.SchemaVersions)
	})
}

// directories are those that the release states ranges of.
func (r *Release) directories() []*Migrations {
	var list []*Migrations
	for _, v := range r.SchemaVersions {
		if !slices.Contains(list, v.Migrations) {
			list = append(list, v.Migrations)
		}
	}
	return list
}

// directories are those that any release of the service states ranges of.
func (s *Service) directories() []*Migrations {
	var list []*Migrations
	for _, r := range s.Releases {
		for _, m := range r.directories() {
			if !slices.Contains(list, m) {
				list = append(list, m)
			}
		}
	}
	return list
}

// ranges are the release's of one directory.
func (r *Release) ranges(m *Migrations) []VersionRange {
	return slices.DeleteFunc(slices.Clone(r.SchemaVersions), func(v VersionRange) bool { return v.Migrations != m })
}

func (l *loader) warnOfSeveral(r *Release, m *Migrations) {
	list := r.ranges(m)
	if len(list) < 2 {
		return
	}
	l.warn(list[1].Range, Related{{list[0].Range, "the first range"}}, "Several ranges of one directory",
		"Release %s of %s has %d ranges of %s. That is legal only if it really works with the versions of each: while its instances run, the schema may pass from one range to the next.",
		r.Version, r.Service.Address(), len(list), m.Address())
}

// checkStated refuses a release that says nothing about a directory of which
// others of its service state ranges.
func (l *loader) checkStated(s *Service, m *Migrations) {
	states := func(r *Release) bool { return len(r.ranges(m)) > 0 }
	first := s.Releases[slices.IndexFunc(s.Releases, states)]
	for _, r := range s.Releases {
		if states(r) {
			continue
		}
		l.addRelated(r.Range, Related{{first.ranges(m)[0].Range, "release " + first.Version + " has one"}}, "Missing schema_version",
			"Release %s of %s does not say with which versions of %s it runs. Where one release of a service does, all have to.", r.Version, s.Address(), m.Address())
	}
}

// checkGaps reports versions that the schema passes and that none of the
// service's releases runs with. What lies before the first range and after the
// last one is history and future.
func (l *loader) checkGaps(s *Service, m *Migrations) {
	var ranges []VersionRange
	for _, r := range s.Releases {
		ranges = append(ranges, r.ranges(m)...)
	}
	var gap []uint64
	for _, f := range m.Files {
		if !slices.ContainsFunc(ranges, func(v VersionRange) bool { return v.holds(f.Version) }) {
			gap = append(gap, f.Version)
			continue
		}
		l.gap(s, m, ranges, gap)
		gap = nil
	}
	l.gap(s, m, ranges, gap)
}

// gap reports versions that follow one another and lie in no range, unless
// they are at an end.
func (l *loader) gap(s *Service, m *Migrations, ranges []VersionRange, gap []uint64) {
	if len(gap) == 0 {
		return
	}
	before, after := -1, -1
	for i, v := range ranges {
		if v.Max != 0 && v.Max < gap[0] && (before < 0 || v.Max > ranges[before].Max) {
			before = i
		}
		if v.Min > gap[0] && (after < 0 || v.Min < ranges[after].Min) {
			after = i
		}
	}
	if before < 0 || after < 0 {
		return
	}
	l.addRelated(ranges[before].Range, Related{{ranges[after].Range, "the next range"}}, "Schema version in no range",
		"No release of %s runs with %s of %s, so the schema cannot pass it while the service runs. Widen a range, add a release in between, or give the service a strategy with offline.",
		s.Address(), versions(gap), m.Address())
}

// versions names versions for a person, and not too many.
func versions(list []uint64) string {
	var names []string
	for _, v := range list[:min(len(list), listed)] {
		names = append(names, fmt.Sprint(v))
	}
	text := strings.Join(names, ", ")
	if len(list) > listed {
		text += ", …"
	}
	if len(list) == 1 {
		return "version " + text
	}
	return "versions " + text
}
