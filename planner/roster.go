package planner

import (
	"fmt"
	"slices"
	"strings"

	"pleat/planner/strategy"
)

// assign says which instances the release is to have. Where their number is the
// spec's they are 1 to that. An instance of a per_host process belongs to its
// host and keeps its number, whatever other hosts do; and where somebody else
// says how many there are, those that are there are the ones that were meant.
func (r *rollout) assign() {
	r.roster = map[string][]Placement{}
	for _, p := range r.to.Processes {
		switch {
		case p.PerHost && len(r.hosts) > 0:
			r.roster[p.Process] = r.onHosts(p)
		case p.Scaling != nil:
			r.roster[p.Process] = r.asLive(p)
		default:
			r.roster[p.Process] = fill(p.Process, nil, map[int]bool{}, r.capacity(p))
		}
	}
}

// named are the first n instances that the release is to have of a process.
func (r *rollout) named(p ProcessDefinition, n int) []string {
	var out []string
	for _, at := range r.roster[p.Process][:n] {
		out = append(out, at.Instance)
	}
	return out
}

// homes are the hosts that instances of a process belong to, by name.
func (r *rollout) homes(process string) map[string]string {
	out := map[string]string{}
	for _, at := range r.roster[process] {
		if at.Host != "" {
			out[at.Instance] = at.Host
		}
	}
	return out
}

// fill adds instances until there are n, with the lowest numbers that are free.
func fill(process string, roster []Placement, used map[int]bool, n int) []Placement {
	for len(roster) < n {
		roster = append(roster, Placement{Instance: claim(process, used)})
	}
	return roster
}

// claim takes the lowest number that is free.
func claim(process string, used map[int]bool) string {
	n := 1
	for used[n] {
		n++
	}
	used[n] = true
	return fmt.Sprintf("%s.%d", process, n)
}

// asLive are the release's own instances, and as many more as are wanted.
func (r *rollout) asLive(p ProcessDefinition) []Placement {
	used := map[int]bool{}
	var roster []Placement
	for _, i := range r.mine(func(i Instance) bool { return i.Release == r.to.Version && i.Process == p.Process }) {
		if i.State == Stopping {
			used[number(i.Name)] = true
			continue
		}
		if len(roster) < r.capacity(p) {
			used[number(i.Name)] = true
			roster = append(roster, Placement{Instance: i.Name})
		}
	}
	return fill(p.Process, roster, used, r.capacity(p))
}

// onHosts gives every host its instances, round by round: those that it has of
// the release, then numbers that it has of another one, then free ones. A number
// that is in use anywhere, or that the router still knows from a host that has
// left, is not free.
func (r *rollout) onHosts(p ProcessDefinition) []Placement {
	each := r.capacity(p) / len(r.hosts)
	own, used := map[string][]string{}, map[int]bool{}
	take := func(instances []Instance, which func(Instance) bool) {
		for _, i := range instances {
			if i.Process != p.Process || i.State == Down || !which(i) {
				continue
			}
			known := slices.Contains(own[i.Host], i.Name)
			if !known && !used[number(i.Name)] && len(own[i.Host]) < each && slices.Contains(r.hosts, i.Host) {
				own[i.Host] = append(own[i.Host], i.Name)
			}
			used[number(i.Name)] = true
		}
	}
	take(r.mine(func(Instance) bool { return true }), func(i Instance) bool { return i.Release == r.to.Version })
	take(r.mine(func(Instance) bool { return true }), func(i Instance) bool { return i.Release != r.to.Version })
	take(r.instances[r.service.Name], func(Instance) bool { return true })
	for _, router := range r.state.Routers {
		for _, b := range router.Backends {
			if b.Service == r.service.Name && b.process() == p.Process {
				used[number(b.Instance)] = true
			}
		}
	}
	var roster []Placement
	for round := range each {
		for _, host := range r.hosts {
			if len(own[host]) <= round {
				own[host] = append(own[host], claim(p.Process, used))
			}
			roster = append(roster, Placement{Instance: own[host][round], Host: host})
		}
		slices.SortFunc(roster[round*len(r.hosts):], func(a, b Placement) int { return number(a.Instance) - number(b.Instance) })
	}
	return roster
}

// inRounds has those that go, go one of each host, where a round over all hosts
// is a unit.
func (r *rollout) inRounds(w *strategy.Process) {
	if w.Round <= 1 {
		return
	}
	turn, on := map[string]int{}, map[string]int{}
	for _, d := range w.Doomed {
		version, name, _ := strings.Cut(d, "/")
		for _, at := range r.located(version, []string{name}) {
			turn[d] = on[version+" "+at.Host]
			on[version+" "+at.Host]++
		}
	}
	slices.SortStableFunc(w.Doomed, func(a, b string) int { return turn[a] - turn[b] })
}
