package spec

import (
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// version is a version of a golang-migrate directory, 0 when it is not given.
// It is false when it was reported.
func (n *node) version(name string) (uint64, bool) {
	a, given := n.syntax.Body.Attributes[name]
	if !given {
		return 0, true
	}
	if v, ok := n.scope.value(n.problems, a.Expr); ok && v.IsNull() {
		return 0, true
	}
	v, ok := n.shown(name, cty.Number)
	if !ok {
		return 0, false
	}
	f := v.AsBigFloat()
	version, accuracy := f.Uint64()
	if !f.IsInt() || accuracy != 0 || version == 0 {
		n.problems.add(n.at(name), "Invalid version", "The argument %s of %s is a whole number that a migration's file begins with, such as 1681826233.", name, n.title())
		return 0, false
	}
	return version, true
}

// schemaVersions reads the ranges of a release.
func (l *loader) schemaVersions(n *node, r *Release) {
	blocks := n.blocks("schema_version")
	if r.MigrateOnStart && len(blocks) == 0 {
		l.add(n.at("migrate_on_start"), "Missing schema_version", "A release that migrates on start says what it ships: schema_version { ships = … }")
	}
	for _, b := range blocks {
		if v, ok := l.versionRange(b, r); ok {
			r.SchemaVersions = append(r.SchemaVersions, v)
		}
	}
}

// boundNames are the arguments of a schema_version block that are versions.
var boundNames = []string{"min", "max", "below", "ships"}

// bounds are the versions that a schema_version block names, by argument.
// They are false when one was reported.
func (n *node) bounds() (map[string]uint64, bool) {
	given, ok := map[string]uint64{}, true
	for _, name := range boundNames {
		v, fine := n.version(name)
		ok = ok && fine
		if v > 0 {
			given[name] = v
		}
	}
	if given["max"] > 0 && given["below"] > 0 {
		n.problems.add(n.at("below"), "Two upper bounds", "The range ends with max, or before below. It cannot have both.")
		return nil, false
	}
	if given["below"] == 1 {
		n.problems.add(n.at("below"), "Nothing below version 1", "A release that runs with an empty schema only cannot be told apart from one that runs with any.")
		return nil, false
	}
	return given, ok
}

func (l *loader) versionRange(n *node, r *Release) (VersionRange, bool) {
	m := l.directoryOf(n, r.Service)
	given, ok := n.bounds()
	if !ok || m == nil {
		return VersionRange{}, false
	}
	v := VersionRange{Migrations: m, Min: given["min"], Max: given["max"], Range: n.rng()}
	if below := given["below"]; below > 0 {
		v.Max = m.before(below)
	}
	v.Ships = given["ships"]
	if v.Ships == 0 {
		v.Ships = v.Min
	}
	if r.MigrateOnStart && given["ships"] == 0 {
		v.Ships = v.newest()
	}
	// Without files, the directory itself was reported.
	if len(m.Files) > 0 && l.knownBounds(n, m, given) {
		l.checkRange(n, r, v)
	}
	return v, true
}

// directoryOf is the directory that a schema_version block is about.
func (l *loader) directoryOf(n *node, s *Service) *Migrations {
	if n.has("migrations") {
		m, ok := refer(n, "migrations", l.directories)
		if !ok || m.Database == nil {
			return nil
		}
		if !slices.Contains(s.Uses(), m.Database) {
			l.add(n.at("migrations"), "Migrations of another database", "%s belongs to %s, and %s uses %s.", m.Address(), m.Database.Address(), s.Address(), addresses(s.Uses()))
			return nil
		}
		return m
	}
	var names []string
	for _, name := range l.directories.names {
		if slices.Contains(s.Uses(), l.directories.items[name].Database) {
			names = append(names, name)
		}
	}
	if len(names) == 1 {
		return l.directories.items[names[0]]
	}
	if !l.refused["migrations"] {
		l.add(n.rng(), "Missing migrations", "%s needs the argument migrations: a directory of a database that %s uses.%s", n.title(), s.Address(), existing(names))
	}
	return nil
}

// before is the version below the given one.
func (m *Migrations) before(version uint64) uint64 {
	last := version - 1
	for _, f := range m.Files {
		if f.Version < version {
			last = f.Version
		}
	}
	return last
}

// holds tells whether the version lies in the range.
func (v VersionRange) holds(version uint64) bool {
	return version >= v.Min && (v.Max == 0 || version <= v.Max)
}

// newest is the last version of the directory that lies in the range; 0 when
// none does.
func (v VersionRange) newest() uint64 {
	last := uint64(0)
	for _, f := range v.Migrations.Files {
		if v.holds(f.Version) {
			last = f.Version
		}
	}
	return last
}
