package planner

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// arrivals are the last steps of the services that have to do with a change:
// where one has not arrived, its way back is kept. And those of other changes
// of the same tables, which may read what goes.
func (e *emitter) arrivals(c *spec.Change) []string {
	out := e.lastOfServices(func(s *spec.Service) bool { return e.knownTo(s, c) })
	for _, x := range e.changes {
		if last := e.ready(x); last != "" && x != c && x.Database == c.Database && e.touch(x, c) {
			out = append(out, last)
		}
	}
	return out
}

// begins remembers the last step of a change before its contract.
func (e *emitter) begins(c *spec.Change) {
	if _, begun := e.filled[c.Name]; begun {
		return
	}
	e.filled[c.Name] = e.last[c.Address()]
	for _, o := range takenAway(c) {
		e.away[o] = append(e.away[o], c)
	}
}

// ready is the last step of a change that is not of its contract.
func (e *emitter) ready(c *spec.Change) string {
	if last, begun := e.filled[c.Name]; begun {
		return last
	}
	return e.last[c.Address()]
}

// touch tells whether two changes may have to do with the same table.
func (e *emitter) touch(a, b *spec.Change) bool {
	x, y := e.tables(a), e.tables(b)
	if x["*"] || y["*"] {
		return true
	}
	for t := range x {
		if y[t] {
			return true
		}
	}
	return false
}

// tables are those that a change names, "*" where it has SQL that may name any.
func (e *emitter) tables(c *spec.Change) map[string]bool {
	if e.named[c] != nil {
		return e.named[c]
	}
	scope := DatabaseScope{Tables: map[string]TableScope{}}
	scope.name(c)
	out := map[string]bool{}
	for t := range scope.Tables {
		out[t] = true
	}
	for _, op := range c.Operations() {
		if op.Names().Anything {
			out["*"] = true
		}
	}
	e.named[c] = out
	return out
}

func (e *emitter) knownTo(s *spec.Service, c *spec.Change) bool {
	return slices.ContainsFunc(s.Releases, func(r *spec.Release) bool { return e.declared[releaseKey{s.Name, r.Version}].knows[c.Name] })
}

// hide takes the old shape out of sight, on evidence that nobody needs it.
func (e *emitter) hide(m move) {
	c := m.change
	e.begins(c)
	pending := unapplied(e.programs[c.Name].Hide, e.recorded(c))
	soak, why := e.soak(c)
	e.askAgain(c, cmp.Or(m.deferred, why))
	for i, u := range pending {
		s := e.unit(c, u, phaseAfter(i, len(pending), migrations.Hidden))
		s.Title = firstOf(u.Verb, "hide") + " " + u.Title
		s.Cause = e.whyHide(c)
		s.Needs = append(e.arrivals(c), e.before(c)...)
		s.Guards = append(append(e.evidence(c), e.statements(c)...), soak)
		s.confirm()
		s.Waits = append(e.soakWaits(c), quietWaits(c)...)
		s.putOff(cmp.Or(m.deferred, why))
		e.called(c, &s)
		e.add("hide", s)
		e.hid[c] = e.last[c.Address()]
	}
}

// before are the last steps that hide what earlier changes take by the name of
// an index that c takes too: the name goes from one to the next in turn. Of those
// that hide something by a name that c hides something by, it is the end.
func (e *emitter) before(c *spec.Change) []string {
	var out []string
	own := takenIndexes(c)
	for _, x := range e.changes {
		if x == c {
			break
		}
		shared := func(index spec.Table) bool { return slices.Contains(own, index) }
		if x.Database == c.Database && e.hid[x] != "" && slices.ContainsFunc(takenIndexes(x), shared) {
			out = append(out, e.hid[x])
		}
	}
	for _, o := range takenAway(c) {
		for _, x := range e.away[o] {
			if x != c {
				out = append(out, e.lastOf(x.Address())...)
			}
		}
	}
	return out
}

// takenAway are the columns and tables that a contract hides, by the names that
// they have before.
func takenAway(c *spec.Change) []object {
	var out []object
	if c.Contract == nil {
		return nil
	}
	for _, op := range c.Contract.Operations {
		switch o := op.(type) {
		case *spec.DropColumn:
			out = append(out, object{c.Database, "column", o.Table, o.Column})
		case *spec.ReplaceColumn:
			out = append(out, object{c.Database, "column", o.Table, o.Column})
		case *spec.DropTable:
			out = append(out, object{c.Database, "table", o.Table, ""})
		case *spec.RetireName:
			out = append(out, object{c.Database, "table", o.Table, ""})
		}
	}
	return out
}

// takenIndexes are those whose names a contract takes.
func takenIndexes(c *spec.Change) []spec.Table {
	var out []spec.Table
	if c.Contract != nil {
		for _, op := range c.Contract.Operations {
			out = append(out, op.Names().Indexes...)
		}
	}
	return out
}

// askAgain puts the verifies of a change that were answered in an earlier run
// before its contract: what was right then may have been broken since.
func (e *emitter) askAgain(c *spec.Change, deferred deferral) {
	if e.start.phases[c.Name] != migrations.Verified {
		return
	}
	for _, v := range c.Verifies {
		s := e.verifyStep(c, v, "")
		s.putOff(deferred)
		e.add("data", s)
	}
}

// dropVerb is what a contract does last, where a unit says nothing else.
const dropVerb = "drop"

// drop takes away for good what was hidden.
func (e *emitter) drop(m move) {
	c := m.change
	e.begins(c)
	program := e.programs[c.Name]
	pending := unapplied(program.Drop, e.recorded(c))
	e.fillAgain(c, pending, m.deferred)
	for i, u := range pending {
		s := e.unit(c, u, phaseAfter(i, len(pending), migrations.Contracted))
		s.Title = firstOf(u.Verb, dropVerb) + " " + u.Title
		s.Cause = e.whyDrop(c)
		s.Needs = append(e.arrivals(c), e.before(c)...)
		s.Guards = e.evidence(c)
		s.confirm()
		s.putOff(m.deferred)
		if len(program.Hide) == 0 {
			soak, why := e.soak(c)
			s.Guards, s.Waits = append(append(s.Guards, e.statements(c)...), soak), append(e.soakWaits(c), quietWaits(c)...)
			s.putOff(cmp.Or(m.deferred, why))
		}
		if u.HideFor > 0 {
			s.Guards = append(s.Guards, &HiddenFor{
				Database: c.Database.Name, Change: c.Name, For: u.HideFor, Digest: program.Digest,
				Found: e.start.phases[c.Name] == migrations.Hidden,
			})
			s.Waits = append(s.Waits, "hidden "+shortDuration(u.HideFor))
		}
		s.putOff(cmp.Or(s.deferral(), e.offBefore(c), deferral{why: e.hideLeft(c, u.HideFor)}))
		e.add("drop", s)
	}
}

// fillAgain fills what was written without a value after the back-fill. It comes before
// all that is dropped: the values may be made of that.
func (e *emitter) fillAgain(c *spec.Change, pending []migrations.Unit, deferred deferral) {
	for _, u := range pending {
		if u.Fill == nil {
			continue
		}
		s := e.fill(c, *u.Fill, "")
		s.Title += " that came since"
		s.Cause = "rows may have been written without a value since the back-fill"
		s.Needs = append(e.arrivals(c), e.before(c)...)
		s.putOff(cmp.Or(deferred, e.offBefore(c)))
		e.add("drop", s)
	}
}

// offBefore is why the last step of the change was put off. A window that was shut then
// may be open by now, and what is hidden is not hidden for longer.
func (e *emitter) offBefore(c *spec.Change) deferral {
	before := e.off[e.last[c.Address()]]
	if e.shuts[before.why] {
		return deferral{}
	}
	return before
}

// soak is the guard of a change's quiet time, and why it cannot be met within
// this run.
func (e *emitter) soak(c *spec.Change) (Guard, deferral) {
	quiet, what := e.quiet(c)
	g := &Soak{
		Database: c.Database.Name, Change: c.Name, For: quiet, Sequence: soakSequence(c), Anew: e.needsOldShape(c),
		Digest: e.programs[c.Name].Digest, Phase: e.start.phases[c.Name],
	}
	since := e.recorded(c).QuietSince
	if g.Anew {
		since = nil
	}
	if since == nil && quiet > e.goal.MaxWait {
		return g, deferral{why: fmt.Sprintf("%s %s starts when nothing old is left", what, shortDuration(quiet))}
	}
	if since == nil {
		return g, deferral{}
	}
	if left := quiet - e.state.Now.Sub(*since); left > e.goal.MaxWait {
		return g, deferral{why: fmt.Sprintf("%s %s left, until %s", what, shortDuration(left), minute(since.Add(quiet)))}
	}
	return g, deferral{}
}

// needsOldShape tells whether a release that lives as the plan is made needs
// what the contract takes away: no quiet time has passed then, whatever was
// recorded before.
func (e *emitter) needsOldShape(c *spec.Change) bool {
	return len(e.meetings(e.start, c, migrations.Hidden)) > 0
}

func (e *emitter) soakWaits(c *spec.Change) []string {
	quiet, what := e.quiet(c)
	if quiet == 0 {
		return nil
	}
	return []string{shortDuration(quiet) + " " + what}
}

// quiet is how long nothing old must have been seen before a change is
// contracted: what the change asks for, or how long a service that uses its
// database wants to be able to go back, whichever is longer; and the name of it.
func (e *emitter) quiet(c *spec.Change) (time.Duration, string) {
	quiet, what := c.Contract.Soak, "soak"
	for _, s := range e.spec.Services {
		if s.KeepRollback > quiet && e.uses(s.Name, c.Database.Name) {
			quiet, what = s.KeepRollback, "way back"
		}
	}
	return quiet, what
}

// soakSequence is the counter of old-shape writes, "" without a sync.
func soakSequence(c *spec.Change) string {
	for _, op := range c.Expand {
		if _, ok := op.(*spec.Sync); ok {
			return migrations.OldWritesSequence(c.Name)
		}
	}
	return ""
}

// hideLeft says how long something has to stay hidden yet, when that is longer
// than a run waits.
func (e *emitter) hideLeft(c *spec.Change, hide time.Duration) string {
	at := e.recorded(c).HiddenAt
	left, until := hide, ""
	if at != nil {
		left, until = hide-e.state.Now.Sub(*at), ", until "+minute(at.Add(hide))
	}
	if left <= e.goal.MaxWait {
		return ""
	}
	return fmt.Sprintf("hidden for %s first%s", shortDuration(left), until)
}

// evidence asks, right before a step that takes something away, that no
// instance and no session of a release is left that needs it.
func (e *emitter) evidence(c *spec.Change) []Guard {
	sessions := e.only(c.Database, c.Name, func(k releaseKey) bool { return e.meet(k, c, migrations.Hidden) == nil })
	return append(sessions, e.quiets(c)...)
}

// confirm has a transaction ask again for the sessions that its guards ask for.
func (s *Step) confirm() {
	a, ok := s.Action.(*Transaction)
	if !ok {
		return
	}
	for _, g := range s.Guards {
		if sessions, ok := g.(*NoSessions); ok {
			a.Evidence = append(a.Evidence, *sessions)
		}
	}
}
