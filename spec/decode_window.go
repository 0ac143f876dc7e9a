package spec

import (
	_ "embed"
	"slices"
	"strings"
	"time"
)

// zones are the names of the tz database, one a line, for who mistypes one.
//
//go:embed zones.txt
var zones string

func (l *loader) window(n *node, w *Window) {
	w.Zone = l.zone(n)
	for _, b := range n.blocks("allow") {
		l.allow(b, w)
	}
	for _, b := range n.blocks("deny") {
		l.deny(b, w)
	}
	if len(n.children) == 0 {
		l.add(n.rng(), "Empty window", "%s says nothing of when it is open. It needs a block allow or a block deny.", n.title())
	}
}

func (l *loader) zone(n *node) string {
	name := n.str("timezone")
	if name == "" { // which is said
		return name
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		l.add(n.at("timezone"), "Unknown timezone", "The argument timezone of %s cannot be %s.%s It is a name of the tz database, such as Europe/Berlin.",
			n.title(), quote(name), DidYouMean(name, strings.Fields(zones)))
	}
	return name
}

func (l *loader) allow(n *node, w *Window) {
	a := Allow{Days: l.days(n)}
	from, begins := l.clock(n, "from")
	to, ends := l.clock(n, "to")
	a.From, a.To = from, to
	switch {
	case begins && a.From == endOfDay:
		l.add(n.at("from"), "Never begins", "24:00 is where a day ends. The argument from of %s is before that.", n.title())
	case begins && ends && a.From == a.To:
		l.add(n.at("to"), "Never open", "It is over when it begins, at %s. For whole days leave both out.", a.From)
	}
	w.Allows = append(w.Allows, a)
}

func (l *loader) days(n *node) []string {
	if !n.has("days") {
		return Days
	}
	given := n.strs("days")
	if given != nil && len(given) == 0 {
		l.add(n.at("days"), "Never open", "The argument days of %s names no day.", n.title())
	}
	for i, d := range given {
		if !slices.Contains(Days, d) {
			l.add(n.atElement("days", i), "Unknown day", "The argument days of %s cannot have %s.%s It has some of: mon, tue, wed, thu, fri, sat, sun.", n.title(), quote(d), DidYouMean(d, Days))
		}
	}
	return given
}

func (l *loader) clock(n *node, name string) (Clock, bool) {
	c, err := ParseClock(n.str(name))
	if err != nil {
		l.add(n.at(name), "Invalid time of day", "The argument %s of %s: %s.", name, n.title(), err)
	}
	return c, err == nil
}

func (l *loader) deny(n *node, w *Window) {
	from, begins := l.wall(n, "from", ParseWall)
	to, ends := l.wall(n, "to", ParseWallEnd)
	if begins && ends && to.Compare(from) <= 0 {
		l.add(n.at("to"), "Over before it begins", "The argument to of %s is not after its from.", n.title())
	}
	w.Denies = append(w.Denies, Deny{From: from, To: to, Reason: n.str("reason"), Only: StepKind(n.str("only"))})
}

func (l *loader) wall(n *node, name string, parse func(string) (Wall, error)) (Wall, bool) {
	text := n.str(name)
	if text == "" { // which is said
		return Wall{}, false
	}
	w, err := parse(text)
	if err != nil {
		l.add(n.at(name), "Invalid date", "The argument %s of %s: %s.", name, n.title(), err)
	}
	return w, err == nil
}
