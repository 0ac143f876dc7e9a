package planner

import (
	"slices"
	"strings"

	"pleat/migrations"
	"pleat/spec"
)

// views are the schemas in which a release finds tables under the names that it
// was built for, by database, those of later changes first. A contracted change
// has none any more.
func (p *planning) views(r Release) map[string][]string {
	var all map[string][]string
	for _, c := range slices.Backward(p.changes) {
		schema := c.ViewSchema()
		if schema == "" || !slices.Contains(r.Knows, c.Name) || p.start.phases[c.Name] == migrations.Contracted {
			continue
		}
		if all == nil {
			all = map[string][]string{}
		}
		all[c.Database.Name] = append(all[c.Database.Name], schema)
	}
	return all
}

// viewLines say what instances of a release get besides their URL.
func (p *planning) viewLines(r Release) []string {
	var lines []string
	views := p.views(r)
	for _, database := range sortedKeys(views) {
		lines = append(lines, string((&spec.Database{Name: database}).Address())+": search_path begins with "+strings.Join(views[database], ", "))
	}
	return lines
}
