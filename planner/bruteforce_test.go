package planner_test

import "pleat/spec"

// tooMany bounds the states of one search by trying everything.
const tooMany = 60_000

// shortest tries every order of moves, those with fewer rollouts first. It is
// written from the design's rules alone and shares nothing with the planner.
// It is false where there is no way, and gives up on worlds that are too large.
func (d *draft) shortest() (rolls int, found, gaveUp bool) {
	seen := map[node]bool{d.start: true}
	frontier := []node{d.start}
	for ; len(frontier) > 0; rolls++ {
		for i := 0; i < len(frontier); i++ {
			if d.reached(frontier[i]) {
				return rolls, true, false
			}
			d.free(frontier[i], fresh(seen, &frontier))
			if len(seen) > tooMany {
				return 0, false, true
			}
		}
		var next []node
		for _, n := range frontier {
			d.rollouts(n, fresh(seen, &next))
		}
		frontier = next
	}
	return 0, false, false
}

// fresh collects the nodes that were not seen before.
func fresh(seen map[node]bool, into *[]node) func(node) {
	return func(n node) {
		if !seen[n] {
			seen[n] = true
			*into = append(*into, n)
		}
	}
}

// reached is the goal, but for contracts.
func (d *draft) reached(n node) bool {
	for s := range d.services {
		if !d.alone(n, s) {
			return false
		}
	}
	for c := range d.changes {
		if n.phases[c] < verified {
			return false
		}
	}
	for i, m := range d.directories {
		if int(n.versions[i]) != m.target+1 {
			return false
		}
	}
	return true
}

// free gives every node that one move leads to which is no rollout.
func (d *draft) free(n node, found func(node)) {
	legal := func(m node) {
		if d.legal(m) {
			found(m)
		}
	}
	for c := range d.changes {
		if d.mayAdvance(n, c) {
			m := n
			m.phases[c] = d.through(c, n.phases[c]+1)
			legal(m)
		}
	}
	for i := range d.directories {
		if d.mayMigrate(n, i) {
			m := n
			m.versions[i]++
			legal(m)
		}
	}
	for s := range d.services {
		m := n
		switch {
		case n.kept[s]:
			m.mix[s], m.kept[s] = 1<<d.services[s].target, false
		case d.services[s].strategy.kind == spec.Offline && !n.down[s] && n.mix[s] != 0:
			m.down[s] = true
		default:
			continue
		}
		legal(m)
	}
}

// rollouts gives every node that one rollout leads to.
func (d *draft) rollouts(n node, found func(node)) {
	for s := range d.services {
		service := &d.services[s]
		for bit := range service.declared() {
			if d.there(n, s) || !d.mayRoll(n, s, bit) {
				continue
			}
			m := n
			if n.down[s] {
				m.mix[s], m.down[s] = 0, false
			}
			m.mix[s] |= 1 << bit
			if !d.legal(m) {
				continue
			}
			if service.strategy.keep == 0 || bit != service.target {
				m.mix[s] = 1 << bit
			}
			m.kept[s] = m.mix[s] != 1<<bit
			found(m)
		}
	}
}
