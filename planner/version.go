package planner

import (
	"fmt"
	"slices"

	"pleat/spec"
)

// ranges are the versions of a directory that a release says it can live with.
func (r Release) ranges(directory string) []VersionRange {
	return slices.DeleteFunc(slices.Clone(r.Versions), func(v VersionRange) bool { return v.Migrations != directory })
}

// allows tells whether a version lies in the range; to start it must also have
// come to what the release ships.
func (v VersionRange) allows(version uint64, start bool) bool {
	low := v.Min
	if start {
		low = max(low, v.Ships)
	}
	return low <= version && (v.Max == 0 || version <= v.Max)
}

// livesAt tells whether the release can run with a directory at a version, or
// start with it. One that migrates by itself when it starts can do neither but
// with what it ships: it would move the version, or not find it.
func (r Release) livesAt(directory string, version uint64, start bool) bool {
	own := r.ranges(directory)
	if len(own) == 0 {
		return true
	}
	return slices.ContainsFunc(own, func(v VersionRange) bool {
		if r.MigrateOnStart {
			return version == v.Ships
		}
		return v.allows(version, start)
	})
}

// outOfRange tells why a release cannot live with a directory at that version,
// or cannot be started then; nil where it can.
func (p *planning) outOfRange(k releaseKey, d *spec.Migrations, version uint64, start bool) *meeting {
	declared := p.declared[k]
	if declared == nil || declared.release.livesAt(d.Name, version, start) {
		return nil
	}
	m := &meeting{releaseKey: k, directory: d.Name}
	r := declared.release
	needs := lowest(r.ranges(d.Name), start)
	switch {
	case r.MigrateOnStart:
		m.why = fmt.Sprintf("%s %s migrates on start, and so runs with schema %d of %s only", k.service, k.version, r.ranges(d.Name)[0].Ships, d.Address())
	case version < needs:
		m.why = fmt.Sprintf("%s %s needs schema %d of %s, and it is at %s", k.service, k.version, needs, d.Address(), orNone(version))
	default:
		m.why = fmt.Sprintf("%s %s does not know schema %d of %s", k.service, k.version, version, d.Address())
	}
	return m
}

// lowest is the version that a release needs at least.
func lowest(ranges []VersionRange, start bool) uint64 {
	var low uint64
	for i, v := range ranges {
		at := v.Min
		if start {
			at = max(at, v.Ships)
		}
		if i == 0 || at < low {
			low = at
		}
	}
	return low
}

func orNone(version uint64) string {
	if version == 0 {
		return "none"
	}
	return fmt.Sprint(version)
}

// inTheWay lists the releases that run and cannot live with a directory at a
// version. Of one that nobody declares, and of one that declares nothing while
// its service does, nobody knows.
func (p *planning) inTheWay(w world, d *spec.Migrations, version uint64) []meeting {
	var out []meeting
	for _, k := range w.running() {
		if !p.uses(k.service, d.Database.Name) {
			continue
		}
		if why := p.unknown(k, d); why != "" {
			out = append(out, meeting{releaseKey: k, directory: d.Name, why: why})
			continue
		}
		if m := p.outOfRange(k, d, version, false); m != nil {
			out = append(out, *m)
		}
	}
	return out
}

// unknown says why nobody can tell which versions of a directory a live release
// can live with; "" where that is declared.
func (p *planning) unknown(k releaseKey, d *spec.Migrations) string {
	declared := p.declared[k]
	if declared == nil {
		return fmt.Sprintf("%s %s is live, and nothing declares it: no migration passes it", k.service, k.version)
	}
	if len(declared.release.ranges(d.Name)) == 0 && p.ranged(k.service, d) {
		return fmt.Sprintf("%s %s is live, and nothing declares its schema_version of %s: no migration passes it", k.service, k.version, d.Address())
	}
	return ""
}

// ranged tells whether releases of the service state versions of a directory.
func (p *planning) ranged(service string, d *spec.Migrations) bool {
	s := p.byName[service]
	return s != nil && slices.ContainsFunc(s.Releases, func(r *spec.Release) bool {
		return slices.ContainsFunc(r.SchemaVersions, func(v spec.VersionRange) bool { return v.Migrations == d })
	})
}

// following is the migration after a version, or nil where the directory is
// where it should be.
func following(d *spec.Migrations, version uint64) *spec.Migration {
	for i := range d.Files {
		if f := &d.Files[i]; f.Version > version && f.Version <= d.Version {
			return f
		}
	}
	return nil
}

// liveVersion is what golang-migrate recorded of a directory; zero where it was
// never run. With a file of pleat's under way, it is the version before that.
func (p *planning) liveVersion(d *spec.Migrations) Version {
	db := p.state.Databases[d.Database.Name]
	if db == nil {
		return Version{}
	}
	v := db.Versions[d.Name]
	if v.Halfway != nil {
		v.Version, v.Dirty = v.Halfway.From, false
	}
	return v
}
