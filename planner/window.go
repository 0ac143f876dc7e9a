package planner

import (
	"fmt"
	"slices"
	"time"

	"pleat/spec"
)

// within has a step keep to the windows of what it is about. Who goes back keeps to
// none, and neither does who only asks for more or fewer instances, or goes on while
// services are down.
func (e *emitter) within(s *Step) {
	if e.goal.Rollback || len(e.goal.Scale) > 0 || s.Together {
		return
	}
	kind := spec.SchemaSteps
	if _, ok := cutPrefix(s.Address, "service."); ok {
		kind = spec.RolloutSteps
	}
	long := e.takes(*s)
	for _, w := range e.windowsOf(*s) {
		g := &Within{Window: w.For(kind), Takes: long}
		if kind == spec.RolloutSteps && !g.everFits(e.state.Now) {
			g.Takes = 0 // step by step, from one opening to the next
		}
		s.Guards = append(s.Guards, g)
		s.Waits = append(s.Waits, w.Name)
	}
	e.toCome = max(e.toCome-stand(s.Action), 0)
}

// windowsOf are the windows of a step, each once: that of the whole before that of
// a part.
func (e *emitter) windowsOf(s Step) []*spec.Window {
	var out []*spec.Window
	add := func(w *spec.Window) {
		if w != nil && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	if name, ok := cutPrefix(s.Address, "service."); ok && e.byName[name] != nil {
		add(e.byName[name].Window)
	}
	if name, ok := cutPrefix(s.Address, "migrations."); ok {
		for _, d := range e.spec.Migrations {
			if d.Name == name {
				add(d.Window)
			}
		}
	}
	if name, ok := cutPrefix(s.Address, "change."); ok {
		if i, known := e.position[name]; known {
			e.partsOf(e.changes[i], s, add)
		}
	}
	return out
}

// partsOf gives the windows of a change and of the part of it that a step is of.
func (e *emitter) partsOf(c *spec.Change, s Step, add func(*spec.Window)) {
	add(c.Window)
	if e.current.kind == moveHide || e.current.kind == moveDrop {
		add(c.Contract.Window)
	}
	for _, b := range c.Backfills {
		if s.Kind == KindBackfill && e.source(b.Range) == s.Source {
			add(b.Window)
		}
	}
	for _, op := range c.Operations() {
		if sql, ok := op.(*spec.SQL); ok && e.source(sql.Range) == s.Source {
			add(sql.Window)
		}
	}
}

// How much of a table is read in a second, at a guess, where an index is built of
// it and where all rows are looked at.
const (
	indexed = 20 << 20
	looked  = 100 << 20
)

// takes is how long a step takes, at a guess; 0 where nobody knows, and of a
// back-fill, which can stop at any moment. A step of a rollout takes as long as the
// rest of it stands still: it is not begun to be left half way.
func (e *emitter) takes(s Step) time.Duration {
	if e.current.kind == moveRoll {
		return e.toCome
	}
	name, _ := cutPrefix(s.Action.Provider(), "database.")
	db := e.state.Databases[name]
	if db == nil || db.Catalog == nil || db.Catalog.Tables[s.Table] == nil {
		return 0
	}
	bytes := time.Duration(db.Catalog.Tables[s.Table].Bytes)
	if _, builds := s.Action.(*BuildIndex); builds {
		return bytes / indexed * time.Second
	}
	if s.Kind == KindValidate {
		return bytes / looked * time.Second
	}
	return 0
}

// stands is how long a rollout stands still, to be looked at.
func stands(s *spec.Strategy) (long time.Duration) {
	for _, step := range s.Steps {
		long += step.Hold
		for _, q := range step.Verifies {
			if q.Analysis != nil {
				long += measures(q.Analysis.Count, q.Analysis.Interval)
			}
		}
	}
	return long
}

// stand is how much of that a step is.
func stand(a Action) time.Duration {
	switch a := a.(type) {
	case *Pause:
		return a.For
	case *Analyze:
		return measures(a.Count, a.Interval)
	}
	return 0
}

// measures is how long so many measurements take, one after the other.
func measures(count int, interval time.Duration) time.Duration {
	return time.Duration(max(count-1, 0)) * interval
}

// shut says why a window keeps a step from running for longer than is waited; "" = none does.
func (e *emitter) shut(s Step) string {
	return shut(s, e.state.Now, e.goal.MaxWait, e.goal.Overrides)
}

func shut(s Step, now time.Time, wait time.Duration, overrides []Override) string {
	for _, g := range s.Guards {
		w, ok := g.(*Within)
		if !ok || overridden(overrides, w) {
			continue
		}
		if a := w.Answer(now); !a.Met && a.Recheck > wait {
			return a.Reason
		}
	}
	return ""
}

// Overridden tells whether the plan does not keep to the window of a guard.
func (p *Plan) Overridden(g *Within) bool { return overridden(p.Overrides, g) }

func overridden(overrides []Override, g *Within) bool {
	return slices.ContainsFunc(overrides, func(o Override) bool { return o.Window == g.Window.Name })
}

// needs is how long the window has to stay open: half as much again as it takes.
func (g *Within) needs() time.Duration { return g.Takes * 3 / 2 }

func (g *Within) everFits(now time.Time) bool {
	_, fits := g.Window.Next(now, g.needs())
	return fits
}

// never is when a window is asked again that does not open any more.
const never = 100 * 365 * 24 * time.Hour

// Answer is the guard's at an instant.
func (g *Within) Answer(now time.Time) Answer {
	w, needs := g.Window, g.needs()
	open, until, reason := w.Open(now)
	if open && (until.IsZero() || until.Sub(now) >= needs) {
		return Answer{Met: true}
	}
	next, ok := w.Next(now, needs)
	a := Answer{Closed: true, Recheck: never}
	if ok {
		a.Recheck, a.Reason = next.Sub(now), fmt.Sprintf("window %s opens %s", w.Name, w.When(next, now))
	} else {
		a.Reason = fmt.Sprintf("window %s does not open any more", w.Name)
	}
	switch {
	case open && ok:
		a.Reason = fmt.Sprintf("it takes %s or so, and window %s closes %s: it opens %s", shortDuration(g.Takes), w.Name, w.When(until, now), w.When(next, now))
	case needs > 0 && !ok:
		a.Reason = fmt.Sprintf("it takes %s or so, and window %s never opens for that long", shortDuration(g.Takes), w.Name)
	case reason != "":
		a.Reason += " (" + reason + ")"
	}
	return a
}

// Until is when the window of a step that runs closes; the zero time where it does not.
func (p *Plan) Until(s Step, now time.Time) time.Time {
	var first time.Time
	for _, g := range s.Guards {
		w, ok := g.(*Within)
		if !ok || p.Overridden(w) {
			continue
		}
		open, until, _ := w.Window.Open(now)
		if !open {
			return now
		}
		if first.IsZero() || !until.IsZero() && until.Before(first) {
			first = until
		}
	}
	return first
}

// At is the plan as it is at another instant, with these windows overridden beside
// its own: what only windows put off is put off or not as they are then. Its
// fingerprint stays.
func (p *Plan) At(now time.Time, goal Goal) *Plan {
	then := *p
	then.Steps = slices.Clone(p.Steps)
	then.Overrides = append(slices.Clone(p.Overrides), goal.Overrides...)
	put := map[string]bool{}
	for _, s := range p.Steps {
		if why := shut(s, p.Made, 0, p.Overrides); why != "" {
			put[why] = true
		}
	}
	for i := range then.Steps {
		if s := &then.Steps[i]; put[s.Deferred] {
			s.putOff(deferral{})
		}
	}
	return then.Withhold(func(s Step) string { return shut(s, now, goal.wait(), then.Overrides) })
}

// windowed says what keeps to which windows, and what those are.
func (p *planning) windowed() []string {
	var out []string
	put := func(what any, w *spec.Window) {
		if w != nil {
			out = append(out, fmt.Sprintf("%s %s", what, p.digestOf(w)))
		}
	}
	for _, s := range p.spec.Services {
		put(s.Address(), s.Window)
	}
	for _, d := range p.spec.Migrations {
		put(d.Address(), d.Window)
	}
	for _, c := range p.changes {
		put(c.Address(), c.Window)
		for i, b := range c.Backfills {
			put(fmt.Sprintf("%s backfill %d", c.Address(), i), b.Window)
		}
		for i, op := range c.Operations() {
			if sql, ok := op.(*spec.SQL); ok {
				put(fmt.Sprintf("%s sql %d", c.Address(), i), sql.Window)
			}
		}
		if c.Contract != nil {
			put(string(c.Address())+" contract", c.Contract.Window)
		}
	}
	return out
}

// unmeasured are guards without how long their steps take.
func unmeasured(guards []Guard) []Guard {
	out := slices.Clone(guards)
	for i, g := range out {
		if w, ok := g.(*Within); ok {
			out[i] = &Within{Window: w.Window}
		}
	}
	return out
}
