package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// expand emits the units of a change that are not there yet.
func (e *emitter) expand(c *spec.Change) {
	program := e.programs[c.Name]
	pending := unapplied(program.Expand, e.recorded(c))
	for i, u := range pending {
		s := e.unit(c, u, migrations.Phase(phaseAfter(i, len(pending), e.through(c, migrations.Expanded))))
		s.Kind = kindOf(u)
		s.Cause = fmt.Sprintf("%s is absent", c.Address())
		s.Guards = append(s.Guards, e.absence(c)...)
		for _, r := range c.RequiresAbsent {
			s.Waits = append(s.Waits, fmt.Sprintf("%s %s gone", r.Service.Name, r.Version))
		}
		for _, before := range c.After {
			if last := e.last[before.Address()]; last != "" {
				s.Needs = append(s.Needs, last)
			}
		}
		e.add("expand", s)
	}
}

func kindOf(u migrations.Unit) Kind {
	if strings.HasPrefix(u.ID, "sync.") {
		return KindSync
	}
	return KindExpand
}

// unapplied are the units whose effect is not there: the catalog says so, or
// the record where no catalog shows it.
func unapplied(units []migrations.Unit, r migrations.Recorded) []migrations.Unit {
	var out []migrations.Unit
	for _, u := range units {
		if u.Applied || !u.Visible && r.Units[u.ID] {
			continue
		}
		out = append(out, u)
	}
	return out
}

// unit is the step of one unit of SQL.
func (e *emitter) unit(c *spec.Change, u migrations.Unit, phase migrations.Phase) Step {
	s := Step{
		ID: string(c.Address()) + "/" + u.ID, Address: c.Address(), Kind: KindContract, Title: u.Title,
		Action: e.forward(c, u, phase), Undo: e.backward(c, u), Safety: Probed,
		Limits: e.limits(c.Database), Lock: u.Lock, Table: tableName(u.Table), Hazards: u.Hazards,
		Source: e.source(u.Source),
	}
	if u.Mode != migrations.InTransaction {
		s.Limits.Hold, s.Limits.LockWait = 0, 0
	}
	return s
}

func tableName(t spec.Table) string {
	if t == (spec.Table{}) {
		return ""
	}
	return t.String()
}

// forward is the action that makes a unit's effect.
func (e *emitter) forward(c *spec.Change, u migrations.Unit, phase migrations.Phase) Action {
	digest := e.programs[c.Name].Digest
	switch u.Mode {
	case migrations.BuildIndex:
		return &BuildIndex{Database: c.Database.Name, Table: u.Table, Index: u.Index, SQL: u.Statements[0], Change: c.Name, Unit: u.ID, Phase: phase, Digest: digest}
	case migrations.RemoveIndex:
		return &RemoveIndex{Database: c.Database.Name, Table: u.Table, Index: u.Index, SQL: u.Statements[0], Change: c.Name, Unit: u.ID, Phase: phase, Digest: digest}
	default:
		return &Transaction{
			Database: c.Database.Name, Table: u.Table, Lock: u.Lock, SQL: u.Statements,
			Change: c.Name, Unit: u.ID, Phase: phase, Digest: digest,
		}
	}
}

// backward is the undo of a unit, or nil when there is none.
func (e *emitter) backward(c *spec.Change, u migrations.Unit) *Undo {
	if u.Undo == nil {
		return nil
	}
	digest := e.programs[c.Name].Digest
	undo := &Undo{Title: u.UndoTitle, Loses: u.Loses}
	switch u.Mode {
	case migrations.BuildIndex:
		undo.Action = &RemoveIndex{Database: c.Database.Name, Table: u.Table, Index: u.Index, SQL: u.Undo[0], Change: c.Name, Unit: u.ID, Reverse: true, Phase: migrations.Absent, Digest: digest}
	case migrations.RemoveIndex:
		undo.Action = &BuildIndex{Database: c.Database.Name, Table: u.Table, Index: u.Index, SQL: u.Undo[0], Change: c.Name, Unit: u.ID, Reverse: true, Digest: digest}
	default:
		undo.Action = &Transaction{
			Database: c.Database.Name, Table: u.Table, Lock: u.UndoLock, SQL: u.Undo,
			Change: c.Name, Unit: u.ID, Reverse: true, Phase: e.phaseBefore(c, u), Digest: digest,
		}
	}
	return undo
}

// phaseBefore is where a change is once a unit of it has been taken back.
func (e *emitter) phaseBefore(c *spec.Change, u migrations.Unit) migrations.Phase {
	for _, h := range e.programs[c.Name].Hide {
		if h.ID == u.ID {
			return migrations.Verified
		}
	}
	return migrations.Absent
}

// revert takes an expanded change back, the last unit first.
func (e *emitter) revert(c *spec.Change) {
	units := e.programs[c.Name].Expand
	for i := len(units) - 1; i >= 0; i-- {
		u := units[i]
		if len(unapplied(units[i:i+1], e.recorded(c))) > 0 {
			continue
		}
		undo := e.backward(c, u.Whole())
		if undo == nil {
			e.diags = append(e.diags, problem("No way back", fmt.Sprintf("%s of %s has no undo: it cannot be taken back.", u.Title, c.Address()), u.Source))
			continue
		}
		s := e.unit(c, u, "")
		s.ID, s.Kind = s.ID+"/revert", KindRevert
		s.Action, s.Undo, s.Title = undo.Action, nil, undo.Title+": "+u.Title
		s.Cause = "asked to take " + string(c.Address()) + " back"
		s.Guards = e.only(c.Database, "", func(k releaseKey) bool { return e.meet(k, c, migrations.Absent) == nil })
		if undo.Loses != "" {
			s.Hazards = append(s.Hazards, migrations.Hazard{Code: "data_loss", Text: undo.Loses})
		}
		e.add("revert", s)
	}
}

// unhide brings back what a release needs that the rollback goes to.
func (e *emitter) unhide(c *spec.Change) {
	units := e.programs[c.Name].Hide
	for i := len(units) - 1; i >= 0; i-- {
		u := units[i]
		undo := e.backward(c, u)
		if undo == nil {
			continue
		}
		s := e.unit(c, u, "")
		s.ID += "/unhide"
		s.Action, s.Title = undo.Action, "un-hide "+u.Title
		s.Undo = &Undo{Title: "hide again", Action: e.forward(c, u, migrations.Hidden)}
		s.Cause = "the release that the rollback goes to needs it"
		e.add("unhide", s)
	}
}

func (e *emitter) backfill(c *spec.Change) {
	program := e.programs[c.Name]
	for i, b := range program.Backfills {
		phase := phaseAfter(i, len(program.Backfills), e.through(c, migrations.Backfilled))
		s := Step{
			ID: string(c.Address()) + "/" + b.ID, Address: c.Address(), Kind: KindBackfill,
			Title: b.Table.String() + " rows", Cause: "rows from before " + string(c.Address()) + " have no new shape yet",
			Safety: Idempotent, Lock: migrations.RowExclusive, Table: b.Table.String(), Source: e.source(b.Source),
			Undo: &Undo{Title: "may stay half done"}, Limits: e.limits(c.Database), Estimate: b.Rows,
			Action: &Backfill{
				Database: c.Database.Name, Change: c.Name, Unit: b.ID, Table: b.Table, Key: b.Key, Set: b.Set, Where: b.Where, Batch: b.Batch,
				ReplicaLag: b.ReplicaLag, Cursor: b.Digest, Phase: phase, Digest: program.Digest,
			},
		}
		if !synced(c) {
			s.Needs = e.rollouts(c.Database)
			s.Guards = e.only(c.Database, "", func(k releaseKey) bool { return e.declared[k].knows[c.Name] })
		}
		if b.ReplicaLag > 0 {
			s.Waits = append(s.Waits, "lag < "+shortDuration(b.ReplicaLag))
		}
		e.add("data", s)
	}
}

// arrivals are the last steps of the services that have to do with a change:
// where one has not arrived, its way back is kept. And those of other changes
// of the same tables, which may read what goes.
func (e *emitter) arrivals(c *spec.Change) []string {
	var out []string
	for _, s := range e.spec.Services {
		if last := e.last[s.Address()]; last != "" && e.knownTo(s, c) {
			out = append(out, last)
		}
	}
	for _, x := range e.changes {
		if last := e.ready(x); last != "" && x != c && x.Database == c.Database && e.touch(x, c) {
			out = append(out, last)
		}
	}
	return out
}

// begins remembers the last step of a change before its contract.
func (e *emitter) begins(c *spec.Change) {
	if _, begun := e.filled[c.Name]; !begun {
		e.filled[c.Name] = e.last[c.Address()]
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
	operations := c.Expand
	if c.Contract != nil {
		operations = append(slices.Clone(operations), c.Contract.Operations...)
	}
	for _, op := range operations {
		if _, ok := op.(*spec.SQL); ok {
			out["*"] = true
		}
	}
	e.named[c] = out
	return out
}

func (e *emitter) knownTo(s *spec.Service, c *spec.Change) bool {
	return slices.ContainsFunc(s.Releases, func(r *spec.Release) bool { return e.declared[releaseKey{s.Name, r.Version}].knows[c.Name] })
}

// rollouts are the last steps of the services that use a database: where one is
// put off, writers may be left that it would have stopped.
func (e *emitter) rollouts(db *spec.Database) []string {
	var out []string
	for _, s := range e.spec.Services {
		if last := e.last[s.Address()]; last != "" && e.uses(s.Name, db.Name) {
			out = append(out, last)
		}
	}
	return out
}

func (e *emitter) verify(c *spec.Change) {
	for i, v := range c.Verifies {
		e.add("data", e.verifyStep(c, v, phaseAfter(i, len(c.Verifies), migrations.Verified)))
	}
}

func (e *emitter) verifyStep(c *spec.Change, v *spec.Verify, phase migrations.Phase) Step {
	return Step{
		ID: string(c.Address()) + "/verify." + v.Name, Address: c.Address(), Kind: KindVerify,
		Title: v.Name, Cause: string(c.Address()) + " must be right before anything is taken away",
		Safety: Idempotent, Undo: &Undo{Title: "-"}, Source: e.source(v.Range), Limits: e.limits(c.Database),
		Action: &Verify{Database: c.Database.Name, Change: c.Name, Name: v.Name, SQL: v.SQL, Max: v.Max, Phase: phase, Digest: e.programs[c.Name].Digest},
	}
}

// hide takes the old shape out of sight, on evidence that nobody needs it.
func (e *emitter) hide(m move) {
	c := m.change
	e.begins(c)
	pending := unapplied(e.programs[c.Name].Hide, e.recorded(c))
	soak, why := e.soak(c)
	e.askAgain(c, firstOf(m.deferred, why))
	for i, u := range pending {
		s := e.unit(c, u, phaseAfter(i, len(pending), migrations.Hidden))
		s.Title = "hide " + u.Title
		s.Cause = "the old shape of " + string(c.Address()) + " is not needed any more"
		s.Needs = e.arrivals(c)
		s.Guards = append(e.evidence(c), soak)
		s.confirm()
		s.Waits = e.soakWaits(c)
		s.Deferred = firstOf(m.deferred, why)
		e.add("hide", s)
	}
}

// askAgain puts the verifies of a change that were answered in an earlier run
// before its contract: what was right then may have been broken since.
func (e *emitter) askAgain(c *spec.Change, deferred string) {
	if e.start.phases[c.Name] != migrations.Verified {
		return
	}
	for _, v := range c.Verifies {
		s := e.verifyStep(c, v, "")
		s.Deferred = deferred
		e.add("data", s)
	}
}

// drop takes away for good what was hidden.
func (e *emitter) drop(m move) {
	c := m.change
	e.begins(c)
	program := e.programs[c.Name]
	pending := unapplied(program.Drop, e.recorded(c))
	for i, u := range pending {
		s := e.unit(c, u, phaseAfter(i, len(pending), migrations.Contracted))
		s.Title = "drop " + u.Title
		s.Cause = "the old shape of " + string(c.Address()) + " is hidden, and nobody missed it"
		s.Needs = e.arrivals(c)
		s.Guards = e.evidence(c)
		s.confirm()
		s.Deferred = m.deferred
		if len(program.Hide) == 0 {
			soak, why := e.soak(c)
			s.Guards, s.Waits, s.Deferred = append(s.Guards, soak), e.soakWaits(c), firstOf(s.Deferred, why)
		}
		if u.HideFor > 0 {
			s.Guards = append(s.Guards, &HiddenFor{
				Database: c.Database.Name, Change: c.Name, For: u.HideFor, Digest: program.Digest,
				Found: e.start.phases[c.Name] == migrations.Hidden,
			})
			s.Waits = append(s.Waits, "hidden "+shortDuration(u.HideFor))
		}
		s.Deferred = firstOf(s.Deferred, e.deferredHide(c), e.hideLeft(c, u.HideFor))
		e.add("drop", s)
	}
}

// soak is the guard of a change's quiet time, and why it cannot be met within
// this run.
func (e *emitter) soak(c *spec.Change) (Guard, string) {
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
		return g, fmt.Sprintf("%s %s starts when nothing old is left", what, shortDuration(quiet))
	}
	if since == nil {
		return g, ""
	}
	if left := quiet - e.state.Now.Sub(*since); left > e.goal.MaxWait {
		return g, fmt.Sprintf("%s %s left", what, shortDuration(left))
	}
	return g, ""
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

// deferredHide says why a drop waits when the hide before it does.
func (e *emitter) deferredHide(c *spec.Change) string {
	for _, s := range e.steps {
		if s.Address == c.Address() && s.Kind == KindContract && s.Deferred != "" {
			return s.Deferred
		}
	}
	return ""
}

// hideLeft says how long something has to stay hidden yet, when that is longer
// than a run waits.
func (e *emitter) hideLeft(c *spec.Change, hide time.Duration) string {
	at := e.recorded(c).HiddenAt
	left := hide
	if at != nil {
		left = hide - e.state.Now.Sub(*at)
	}
	if left <= e.goal.MaxWait {
		return ""
	}
	return fmt.Sprintf("hidden for %s first", shortDuration(left))
}

// evidence asks, right before a step that takes something away, that no
// instance and no session of a release is left that needs it.
func (e *emitter) evidence(c *spec.Change) []Guard {
	return e.only(c.Database, c.Name, func(k releaseKey) bool { return e.meet(k, c, migrations.Hidden) == nil })
}

// only asks that no instance and no session is left but those of releases that
// fit. A session that is open stops the soak of the change, if one is named.
func (e *emitter) only(db *spec.Database, change string, fits func(releaseKey) bool) []Guard {
	var out []Guard
	var own []string
	for _, s := range e.spec.Services {
		if !e.uses(s.Name, db.Name) {
			continue
		}
		own = append(own, s.Name)
		fit := e.fit(fits, func(k releaseKey) string {
			if k.service != s.Name {
				return ""
			}
			return k.version
		})
		out = append(out,
			&NoSessions{Database: db.Name, Service: s.Name, Except: fit, Change: change},
			&NoInstances{Orchestrator: s.Orchestrator.Address(), Service: s.Name, Except: fit})
	}
	others := e.fit(fits, func(k releaseKey) string {
		if e.byName[k.service] != nil {
			return ""
		}
		return k.service + "@" + k.version
	})
	return append(out, &NoSessions{Database: db.Name, Others: own, Except: others, Change: change})
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

// fit lists the releases that fit, under the names that they are given; "" leaves
// one out.
func (e *emitter) fit(fits func(releaseKey) bool, name func(releaseKey) string) []string {
	var out []string
	for k := range e.declared {
		if n := name(k); n != "" && fits(k) {
			out = append(out, n)
		}
	}
	return sorted(out)
}

// absence asks that the releases which an expand cannot meet are gone.
func (e *emitter) absence(c *spec.Change) []Guard {
	byService := map[string][]string{}
	services := map[string]*spec.Service{}
	for _, r := range c.RequiresAbsent {
		byService[r.Service.Name] = append(byService[r.Service.Name], r.Version)
		services[r.Service.Name] = r.Service
	}
	var out []Guard
	for _, name := range sortedKeys(byService) {
		versions := sorted(byService[name])
		out = append(out,
			&NoInstances{Orchestrator: services[name].Orchestrator.Address(), Service: name, Versions: versions},
			&NoSessions{Database: c.Database.Name, Service: name, Versions: versions})
	}
	return out
}

func firstOf(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}
