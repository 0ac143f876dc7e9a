package planner_test

import (
	"fmt"
	"strings"
)

// String is the draft as its files, with what is live below.
func (d *draft) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n%s", d.seed, strings.Join(d.blocks()[3:], ""))
	for i, m := range d.directories {
		fmt.Fprintf(&b, "%s has %v and is at %d, dirty %v\n", d.directoryName(i), m.files, d.version(d.start, i), m.dirty)
	}
	for _, s := range d.services {
		if s.gone {
			fmt.Fprintf(&b, "recorded: %+v\n", *s.at(recorded))
		}
	}
	b.WriteString(d.words(d.start))
	return b.String()
}

// words is a node for a person.
func (d *draft) words(n node) string {
	var b strings.Builder
	for s := range d.services {
		var live []string
		for _, bit := range bitsOf(n.mix[s]) {
			live = append(live, d.services[s].version(bit))
		}
		fmt.Fprintf(&b, "%s runs %v", d.serviceName(s), live)
		if n.down[s] {
			b.WriteString(", and is down")
		}
		if n.kept[s] {
			b.WriteString(", all but the target kept")
		}
		b.WriteByte('\n')
	}
	for c := range d.changes {
		fmt.Fprintf(&b, "%s is %s\n", d.changeName(c), phaseNames[n.phases[c]])
	}
	for i := range d.directories {
		fmt.Fprintf(&b, "%s is at %d\n", d.directoryName(i), d.version(n, i))
	}
	return b.String()
}
