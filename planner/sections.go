package planner

import (
	"fmt"
	"strings"
)

// sections divides a way that goes by releases in between into parts, each
// with its reason: services are levelled to a release that lives with the
// schema as it is, and go on from there.
func (k *knot) sections(moves []move) []move {
	ends := partEnds(moves)
	if len(ends) < 2 {
		return moves
	}
	from := 0
	for i, end := range ends {
		title := fmt.Sprintf("part %d of %d · %s", i+1, len(ends), k.partTitle(moves[from:end]))
		for ; from < end; from++ {
			moves[from].section = title
		}
	}
	return moves
}

// partEnds are where the parts of a way end: after the last of the rollouts
// to releases in between that come one after another, and at its end.
func partEnds(moves []move) []int {
	var ends []int
	for i, m := range moves {
		levelled := m.kind == moveRoll && m.reason != ""
		if levelled && !levelsNext(moves[i+1:]) {
			ends = append(ends, i+1)
		}
	}
	if len(moves) > 0 && (len(ends) == 0 || ends[len(ends)-1] != len(moves)) {
		ends = append(ends, len(moves))
	}
	return ends
}

// levelsNext tells whether another service is levelled before anything else
// goes on.
func levelsNext(rest []move) bool {
	return len(rest) > 0 && rest[0].kind == moveRoll && rest[0].reason != ""
}

// partTitle says where services go in a part, and why they go there first.
func (k *knot) partTitle(part []move) string {
	var goes []string
	reason := ""
	for _, m := range part {
		if m.kind != moveRoll {
			continue
		}
		goes = append(goes, m.service.Name+" to "+m.version)
		if m.reason != "" && reason == "" {
			reason = m.reason
		}
	}
	if len(goes) == 0 {
		return "the schema goes on"
	}
	text := strings.Join(goes, ", ")
	if reason != "" {
		text += " first, because " + reason
	}
	return text
}

// title gives the moves that belong to no part a section of their own.
func title(moves []move, section string) {
	for i := range moves {
		if moves[i].section == "" {
			moves[i].section = section
		}
	}
}
