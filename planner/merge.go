package planner

import "slices"

// merge interleaves the ways of knots, which have nothing to do with each
// other, as one that a person can follow: all expands that may come first,
// then rollouts, then what is done with the data. A way in several parts stays
// whole, and so does the time in which services are down.
func merge(roads [][]move) []move {
	var out []move
	for _, road := range roads {
		if inParts(road) {
			out = append(out, road...)
		}
	}
	roads = slices.DeleteFunc(slices.Clone(roads), inParts)
	for {
		next := moveKind(0)
		for _, road := range roads {
			if t := turn(road); t != 0 && (next == 0 || t < next) {
				next = t
			}
		}
		if next == 0 {
			return out
		}
		for i, road := range roads {
			if turn(road) != next {
				continue
			}
			n := stretch(road)
			out, roads[i] = append(out, road[:n]...), road[n:]
		}
	}
}

func inParts(road []move) bool { return len(road) > 0 && road[0].section != "" }

// stretch is how many moves at the head of a way go together: those of one
// kind, and all while services are down.
func stretch(road []move) int {
	if road[0].kind == moveDown {
		return window(road)
	}
	n := 1
	for n < len(road) && road[n].kind == road[0].kind {
		n++
	}
	return n
}

// turn is when a knot's next move comes, 0 when there is none: a back-fill
// that a rollout behind it waits for comes with the rollouts.
func turn(road []move) moveKind {
	if len(road) == 0 {
		return 0
	}
	head := road[0].kind
	if head != moveBackfill && head != moveVerify && head != moveRetire {
		return head
	}
	for _, m := range road {
		if m.kind == moveRoll || m.kind == moveExpand || m.kind == moveMigrate || m.kind == moveDown {
			return moveRoll
		}
	}
	return head
}
