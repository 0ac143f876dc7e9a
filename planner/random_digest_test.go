package planner_test

import (
	"fmt"
	"slices"
	"strings"

	"pleat/migrations"
)

// digest is what is live, in words that compare.
func (s *scene) digest() string {
	var lines []string
	for _, c := range s.spec.Changes {
		lines = append(lines, string(c.Address())+" "+string(s.phase(c)))
	}
	for _, m := range s.spec.Migrations {
		lines = append(lines, fmt.Sprintf("%s %d", m.Address(), s.state.Databases[m.Database.Name].Versions[m.Name].Version))
	}
	return strings.Join(append(s.instances(), lines...), "\n")
}

// roughly is the digest as far as undo brings it back: not how far the data of
// a change is, and not the addresses that stay.
func (s *scene) roughly(stays map[string]bool) string {
	lines := s.instances()
	for _, c := range s.spec.Changes {
		phase := s.phase(c)
		if phase == migrations.Backfilled || phase == migrations.Verified {
			phase = migrations.Expanded
		}
		lines = append(lines, string(c.Address())+" "+string(phase))
	}
	for _, m := range s.spec.Migrations {
		lines = append(lines, fmt.Sprintf("%s %d", m.Address(), s.state.Databases[m.Database.Name].Versions[m.Name].Version))
	}
	return s.without(strings.Join(lines, "\n"), stays)
}

// without leaves out the directories that stay where they are.
func (s *scene) without(digest string, stays map[string]bool) string {
	lines := slices.DeleteFunc(strings.Split(digest, "\n"), func(line string) bool {
		address, _, _ := strings.Cut(line, " ")
		return strings.HasPrefix(address, "migrations.") && stays[address]
	})
	return strings.Join(lines, "\n")
}

// instances is what runs and gets requests, sorted.
func (s *scene) instances() []string {
	var lines []string
	for _, i := range s.state.Orchestrators[hosts].Instances {
		lines = append(lines, i.Service+" "+i.Release+" "+i.Name)
	}
	for _, r := range s.state.Routers {
		for _, b := range r.Backends {
			lines = append(lines, "routed "+b.Service+" "+b.Release+" "+b.Instance)
		}
		if !r.Split.Even() {
			lines = append(lines, r.Identity+" "+r.Split.String())
		}
	}
	slices.Sort(lines)
	return lines
}
