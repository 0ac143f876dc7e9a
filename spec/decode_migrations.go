package spec

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	migrate "github.com/golang-migrate/migrate/v4/source"
)

func (l *loader) migrations(root *os.Root, n *node, m *Migrations) {
	m.Database = l.databaseOf(n)
	m.Table = l.parseTable(n.at("table"), n.str("table"))
	m.VersionRange = n.at("version")
	m.Allow = n.strs("allow")
	m.Hold = n.duration("hold")
	m.Window, _ = refer(n, "window", l.windows)
	l.sameTable(n, m)
	dir, ok := n.directory()
	if !ok {
		return
	}
	m.Source = dir
	index := l.index(root, n, dir)
	if index == nil {
		return
	}
	m.Version = l.wanted(n, m, index)
	m.Files = l.files(root, n, m, index)
}

// directory is where the migrations are, relative to the spec.
func (n *node) directory() (string, bool) {
	given := n.str("source")
	if given == "" {
		return "", false
	}
	dir := strings.TrimPrefix(given, "file://")
	if strings.Contains(dir, "://") {
		n.problems.add(n.at("source"), "Unknown source", "%s is no directory. The migrations lie beside the spec, so that a plan is made of what was reviewed: DIR or file://DIR.", quote(given))
		return "", false
	}
	if !filepath.IsLocal(dir) {
		n.problems.add(n.at("source"), "Source outside of the spec", "%s leads out of the spec's directory.", quote(given))
		return "", false
	}
	return path.Clean(dir), true
}

// sameTable refuses two directories that would overwrite each other's version.
func (l *loader) sameTable(n *node, m *Migrations) {
	for _, name := range l.directories.names {
		other := l.directories.items[name]
		if other == m || m.Database == nil || other.Database != m.Database || other.Table != m.Table {
			continue
		}
		l.addRelated(n.at("table"), Related{{other.Range, "the other"}}, "Two directories in one table",
			"%s and %s both record their version in the table %s of %s. Each needs one of its own: table = \"NAME\"", other.Address(), m.Address(), m.Table, m.Database.Address())
		return
	}
}

// index is what golang-migrate finds in the directory; nil when something was
// reported. Like golang-migrate, it ignores what is not named as a migration.
func (l *loader) index(root *os.Root, n *node, dir string) *migrate.Migrations {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		l.add(n.at("source"), "Unreadable directory", "%s: %s.", dir, rootReason(root, err))
		return nil
	}
	index, ok := migrate.NewMigrations(), true
	for _, e := range entries {
		m, err := migrate.DefaultParse(e.Name())
		if err != nil || e.IsDir() {
			continue
		}
		ok = l.indexed(n, dir, index, m) && ok
	}
	if _, some := index.First(); !some && ok {
		l.add(n.at("source"), "No migrations", "%s has no file that golang-migrate takes as a migration, such as 1681826233_add_email.up.sql.", dir)
		return nil
	}
	if !ok {
		return nil
	}
	return index
}

func (l *loader) indexed(n *node, dir string, index *migrate.Migrations, m *migrate.Migration) bool {
	if m.Version == 0 {
		l.add(n.at("source"), "Migration of version 0", "%s: golang-migrate's version 0 is a database without migrations. Number them from 1.", path.Join(dir, m.Raw))
		return false
	}
	if index.Append(m) {
		return true
	}
	other, ok := index.Up(m.Version)
	if m.Direction == migrate.Down || !ok {
		other, _ = index.Down(m.Version)
	}
	l.add(n.at("source"), "Two migrations of one version", "In %s, %s and %s are both the %s migration of version %d.", dir, other.Raw, m.Raw, m.Direction, m.Version)
	return false
}

// wanted is the version that should be live.
func (l *loader) wanted(n *node, m *Migrations, index *migrate.Migrations) uint64 {
	var all []uint64
	for v, ok := index.First(); ok; v, ok = index.Next(v) {
		all = append(all, uint64(v))
	}
	last := all[len(all)-1]
	version, ok := n.version("version")
	if version == 0 || !ok {
		return last
	}
	near := closest(all, version)
	if near != version {
		l.add(n.at("version"), "Unknown version", "%s has no version %d. The nearest is %d.", m.Source, version, near)
	}
	return near
}

// closest is the number of a sorted list that is the least away from v.
func closest(list []uint64, v uint64) uint64 {
	best := list[0]
	for _, x := range list {
		if max(x, v)-min(x, v) < max(best, v)-min(best, v) {
			best = x
		}
	}
	return best
}

// files reads every version that has an up migration.
func (l *loader) files(root *os.Root, n *node, m *Migrations, index *migrate.Migrations) []Migration {
	var list []Migration
	for v, ok := index.First(); ok; v, ok = index.Next(v) {
		up, found := index.Up(v)
		if !found && uint64(v) > m.Version {
			continue
		}
		if !found {
			down, _ := index.Down(v)
			l.add(n.at("source"), "Missing up migration", "Version %d of %s has only %s, so nothing leads to it.", v, m.Source, down.Raw)
			continue
		}
		f := Migration{Version: uint64(v), Name: up.Identifier, File: path.Join(m.Source, up.Raw)}
		f.Up = l.sql(root, n, f.File)
		if down, found := index.Down(v); found {
			f.Down = l.sql(root, n, path.Join(m.Source, down.Raw))
		}
		list = append(list, f)
	}
	return list
}

// sql is the text of a migration; "" when there is nothing in it.
func (l *loader) sql(root *os.Root, n *node, name string) string {
	src, err := readLimited(root, name)
	if err != nil {
		l.add(n.at("source"), "Unreadable migration", "%s: %s.", name, err)
		return ""
	}
	text := string(src)
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		l.add(n.at("source"), "Unreadable migration", "%s: not text in UTF-8.", name)
		return ""
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}
