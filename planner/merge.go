package planner

// merge interleaves the ways of knots, which have nothing to do with each
// other, as one that a person can follow: all expands that may come first,
// then rollouts, then what is done with the data.
func merge(roads [][]move) []move {
	var out []move
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
			n := 1
			for n < len(road) && road[n].kind == road[0].kind {
				n++
			}
			out, roads[i] = append(out, road[:n]...), road[n:]
		}
	}
}

// turn is when a knot's next move comes, 0 when there is none: a back-fill
// that a rollout behind it waits for comes with the rollouts.
func turn(road []move) moveKind {
	if len(road) == 0 {
		return 0
	}
	head := road[0].kind
	if head != moveBackfill && head != moveVerify {
		return head
	}
	for _, m := range road {
		if m.kind == moveRoll || m.kind == moveExpand {
			return moveRoll
		}
	}
	return head
}
