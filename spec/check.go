package spec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// check asks what concerns more than one block.
func (l *loader) check() {
	l.defaultAgents()
	for _, d := range l.declaredServices {
		l.checkRouted(d.item)
		l.checkInstanceNames(d.item)
		l.checkAncestors(d.item)
		l.checkKept(d.node, d.item)
		l.checkTraffic(d.node, d.item)
		l.checkVersions(d.item)
	}
	l.checkShared()
	services := newOrder(l.declaredServices, func(s *Service) []*Service { return s.After })
	if cycle := services.cycle(); cycle != nil {
		services.report(l.problems, "Cycle of services", cycle, l.serviceAfterAt)
	}
	order := newOrder(l.declaredChanges, func(c *Change) []*Change { return c.After })
	if cycle := order.cycle(); cycle != nil {
		order.report(l.problems, "Cycle of changes", cycle, l.afterAt)
		return
	}
	order.close()
	l.serving(order)
	for _, d := range l.declaredReleases {
		l.checkSchema(d.item, order)
	}
	l.checkColumns(order)
}

// defaultAgents gives each router that needs an agent and names none the first one.
func (l *loader) defaultAgents() {
	list := sorted(l.orchestrators, func(o *Orchestrator) string { return o.Kind + "." + o.Name })
	list = slices.DeleteFunc(list, func(o *Orchestrator) bool { return o.Program != nil })
	for _, name := range l.routers.names {
		r := l.routers.items[name]
		if r.Agent != "" || r.Program != nil {
			continue
		}
		if len(list) == 0 && l.refused["orchestrator"] {
			continue
		}
		if len(list) == 0 {
			l.add(r.Range, "Missing agent", "%s needs the argument agent: there is no orchestrator with agents to take one from.", r.Address())
			continue
		}
		if len(list[0].Agents) > 0 {
			r.Agent = list[0].Agents[0]
		}
	}
}

// checkRouted refuses a router that would have nobody to send requests to.
func (l *loader) checkRouted(s *Service) {
	if s.Router == nil || len(s.Processes) == 0 {
		return
	}
	if s.Router.Program == nil && s.Orchestrator != nil && s.Orchestrator.Program != nil {
		l.add(s.Range, "Router without an agent's instances", "%s routes to instances that agents keep, and those of %s are kept by %s. Give it a router of the kind exec.", s.Router.Address(), s.Address(), s.Orchestrator.Address())
	}
	for _, p := range s.Processes {
		if p.Routed {
			return
		}
	}
	l.add(s.Range, "No process for the router", "%s has a router, but none of its processes gets requests. Write routed = true in one of them.", s.Address())
}

// checkShared refuses to have two services answer at one address: what an agent
// accepts there is for one. A program of the author's tells services apart itself.
func (l *loader) checkShared() {
	type listener struct{ agent, listen string }
	first := map[listener]declared[*Service]{}
	for _, d := range l.declaredServices {
		r := d.item.Router
		if r == nil || r.Program != nil || r.Listen == "" {
			continue
		}
		other, taken := first[listener{r.Agent, r.Listen}]
		if !taken {
			first[listener{r.Agent, r.Listen}] = d
			continue
		}
		places := Related{{other.node.at("router"), string(other.item.Address()) + " has it"}}
		if r != other.item.Router {
			places = append(places, Place{other.item.Router.Range, "listens there"}, Place{r.Range, "listens there too"})
		}
		l.addRelated(d.node.at("router"), places, "Router of two services", "Requests at %s are those of %s. %s needs a router with an address of its own.", r.Listen, other.item.Address(), d.item.Address())
	}
}

// checkKept refuses to keep instances up that nobody could give requests to.
func (l *loader) checkKept(n *node, s *Service) {
	if s.Strategy.KeepPrevious == 0 || s.Strategy.Kind == Offline || n.has("router") {
		return
	}
	l.add(n.at("strategy"), "No router to go back with", "%s keeps the instances of the release before, so that they can be given requests again, but %s has no router: router = router.KIND.NAME", s.Strategy.Address(), s.Address())
}

// checkTraffic refuses to steer requests where nobody hands them out.
func (l *loader) checkTraffic(n *node, s *Service) {
	if n.has("router") {
		return
	}
	what := ""
	switch s.Strategy.Kind {
	case Canary:
		what = "gives the new release a share of the requests"
	case BlueGreen, Cycle:
		what = "brings up instances that get no requests"
	}
	if what != "" {
		l.add(n.at("strategy"), "No router to steer requests with", "%s %s, but %s has no router: router = router.KIND.NAME", s.Strategy.Address(), what, s.Address())
	}
}

// checkInstanceNames refuses names that Postgres would cut off in
// application_name, where two releases could then look the same.
func (l *loader) checkInstanceNames(s *Service) {
	for _, r := range s.Releases {
		for _, p := range r.Processes {
			name := s.Name + "@" + r.Version + "/" + p.Name + "." + strconv.Itoa(p.Count)
			if len(name) > maxIdentifier {
				l.add(r.Range, "Names too long", "Sessions are told apart by application_name, of which Postgres keeps 63 bytes. %s has %d: shorten the name of the service, release or process.", name, len(name))
			}
		}
	}
}

// checkAncestors refuses versions that are their own ancestors.
func (l *loader) checkAncestors(s *Service) {
	for _, r := range s.Releases {
		if path := ancestry(s, r, r.Version, map[string]bool{}); path != nil {
			var places Related
			text := r.Version
			for _, step := range path {
				places = append(places, Place{l.at(step, "ancestors"), "ancestors of " + step.Version})
			}
			for _, step := range path[1:] {
				text += " → " + step.Version
			}
			l.addRelated(l.at(r, "ancestors"), places[1:], "Cycle of ancestors", "%s → %s", text, r.Version)
			return
		}
	}
}

// ancestry is the way from r back to the wanted version, r first; nil when
// there is none.
func ancestry(s *Service, r *Release, wanted string, seen map[string]bool) []*Release {
	if seen[r.Version] {
		return nil
	}
	seen[r.Version] = true
	for _, version := range r.Ancestors {
		if version == wanted {
			return []*Release{r}
		}
		next := s.Lookup(version)
		if next == nil {
			continue
		}
		if path := ancestry(s, next, wanted, seen); path != nil {
			return append([]*Release{r}, path...)
		}
	}
	return nil
}

// at is where a release has an argument.
func (l *loader) at(r *Release, argument string) hcl.Range {
	if n := l.releaseNodes[r]; n != nil {
		return n.at(argument)
	}
	return r.Range
}

// checkSchema compares what a release was built for with its service's
// database and with what it waits for.
func (l *loader) checkSchema(r *Release, order *order[*Change]) {
	for _, c := range r.Schema {
		rng := l.at(r, "schema")
		if c.Database == nil {
			continue
		}
		if slices.Contains(r.Service.Uses(), c.Database) {
			continue
		}
		if r.Service.Database == nil {
			l.add(rng, "Missing database", "The release is built for %s of %s, but %s names no database: database = %s", c.Address(), c.Database.Address(), r.Service.Address(), c.Database.Address())
			return
		}
		l.add(rng, "Change of another database", "%s is a change of %s, but %s uses %s.", c.Address(), c.Database.Address(), r.Service.Address(), addresses(r.Service.Uses()))
	}
	for _, c := range r.NeedsBackfill {
		if !knows(r, c, order) {
			l.add(l.at(r, "needs_backfill"), "Backfill of an unknown change", "The release needs the backfill of %s, but its schema names neither that change nor one that comes after it.", c.Address())
		}
	}
}

func knows(r *Release, c *Change, order *order[*Change]) bool {
	for _, known := range r.Schema {
		if known == c || order.before(c, known) {
			return true
		}
	}
	return false
}

// addresses names databases for a person.
func addresses(list []*Database) string {
	if len(list) == 0 {
		return "none"
	}
	var names []string
	for _, d := range list {
		names = append(names, string(d.Address()))
	}
	return strings.Join(names, ", ")
}
