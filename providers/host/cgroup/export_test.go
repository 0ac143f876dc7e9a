package cgroup

import "pleat/spec"

// Place is find, for tests: where groups of a controller are made, and whether
// that is of v2.
func Place(mounts, groups, controller string) (dir string, unified bool, err error) {
	p, err := find(mounts, groups, controller)
	return p.dir, p.unified, err
}

// Limit is what Make does in a directory of v2 that is there.
func Limit(dir, controller string, l spec.Limits) error {
	g := Group{parts: []part{{dir: dir, unified: true}}}
	return g.add(g.parts[0], controller, l)
}
