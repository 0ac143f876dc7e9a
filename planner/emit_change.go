package planner

import (
	"fmt"
	"slices"
	"strings"

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
		Limits: e.limits(c.Database), Lock: u.Lock, Table: tableName(u.Table), Hazards: u.Hazards, Drops: u.Drops,
		Source: e.source(u.Source),
	}
	s.Does = slices.Concat(u.Does, u.Author.Does)
	if s.Lock == "" {
		s.Lock, s.Table = u.Author.Lock, u.Author.Table
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
	case migrations.Alone:
		return &RunAlone{Database: c.Database.Name, SQL: u.Statements[0], Change: c.Name, Unit: u.ID, Phase: phase, Digest: digest}
	default:
		return &Transaction{
			Database: c.Database.Name, Table: u.Table, Lock: u.Lock, Also: u.Also, SQL: u.Statements,
			Change: c.Name, Unit: u.ID, Phase: phase, Digest: digest,
		}
	}
}

// backward is the undo of a unit, or nil when there is none. It has no action
// where nothing needs to be taken back.
func (e *emitter) backward(c *spec.Change, u migrations.Unit) *Undo {
	if u.Undo == nil {
		return nil
	}
	digest := e.programs[c.Name].Digest
	undo := &Undo{Title: u.UndoTitle, Loses: u.Loses}
	if len(u.Undo) == 0 {
		return undo
	}
	switch u.ReverseMode() {
	case migrations.Alone:
		undo.Action = &RunAlone{Database: c.Database.Name, SQL: u.Undo[0], Change: c.Name, Unit: u.ID, Reverse: true, Phase: e.phaseBefore(c, u), Digest: digest}
	case migrations.RemoveIndex:
		undo.Action = &RemoveIndex{Database: c.Database.Name, Table: u.Table, Index: u.Index, SQL: u.Undo[0], Change: c.Name, Unit: u.ID, Reverse: true, Phase: e.phaseBefore(c, u), Digest: digest}
	case migrations.BuildIndex:
		build := &BuildIndex{Database: c.Database.Name, Table: u.Table, Index: u.Index, SQL: u.Undo[0], Change: c.Name, Unit: u.ID, Reverse: true, Phase: e.phaseBefore(c, u), Digest: digest}
		if len(u.Undo) > 1 {
			build.Lock, build.Then = u.UndoLock, u.Undo[1:]
		}
		undo.Action = build
	default:
		undo.Action = &Transaction{
			Database: c.Database.Name, Table: u.Table, Lock: u.UndoLock, Also: u.UndoAlso, SQL: u.Undo,
			Change: c.Name, Unit: u.ID, Reverse: true, Phase: e.phaseBefore(c, u), Digest: digest,
		}
	}
	return undo
}

// phaseBefore is where a change is once a unit of it has been taken back.
func (e *emitter) phaseBefore(c *spec.Change, u migrations.Unit) migrations.Phase {
	is := func(other migrations.Unit) bool { return other.ID == u.ID }
	switch program := e.programs[c.Name]; {
	case slices.ContainsFunc(program.Hide, is):
		return migrations.Verified
	case slices.ContainsFunc(program.Validate, is):
		return migrations.Backfilled
	case slices.ContainsFunc(program.Drop, is) && len(program.Hide) > 0:
		return migrations.Hidden
	case slices.ContainsFunc(program.Drop, is):
		return migrations.Verified
	}
	return migrations.Absent
}

// revert takes an expanded change back, the last unit first.
func (e *emitter) revert(c *spec.Change) {
	units := e.made(c)
	for i := len(units) - 1; i >= 0; i-- {
		u := units[i]
		whole := u.Whole()
		if u.Stays && u.Applied {
			e.note(fmt.Sprintf("%s stays, as Postgres takes none away: %s", u.Title, e.stillThere(c)))
		}
		if u.Applied && u.WasThere(e.recorded(c)) {
			if u.ByRecord == u.ID {
				e.note(fmt.Sprintf("%s: it was so before %s, and stays", u.Title, c.Address()))
			}
			continue
		}
		if u.Restored || len(unapplied(units[i:i+1], e.recorded(c))) > 0 || whole.Undo != nil && len(whole.Undo) == 0 {
			continue
		}
		undo := e.backward(c, whole)
		if undo == nil {
			e.diags = append(e.diags, problem("No way back", fmt.Sprintf("%s of %s has no undo: it cannot be taken back.", u.Title, c.Address()), u.Source))
			continue
		}
		if undo.Action == nil {
			continue
		}
		s := e.unit(c, u, "")
		s.ID, s.Kind = s.ID+"/revert", KindRevert
		s.Hazards, s.Does = slices.Clone(u.UndoHazards), nil
		s.Action, s.Undo, s.Title = undo.Action, nil, undo.Title+": "+u.Title
		s.Lock = reverseLock(undo.Action, s.Lock)
		s.Cause = "asked to take " + string(c.Address()) + " back"
		s.Guards = e.only(c.Database, "", func(k releaseKey) bool { return e.meet(k, c, migrations.Absent) == nil })
		switch {
		case undo.Loses != "":
			s.Hazards = append(s.Hazards, migrations.NewHazard("data_loss", "%s", undo.Loses))
		case len(s.Hazards) == 0:
			s.Undo = e.onceMore(c, u)
		}
		e.add("revert", s)
	}
}

// reverseLock is the lock of a way back, where that says one, else the one of
// the way there.
func reverseLock(back Action, there migrations.Lock) migrations.Lock {
	if t, ok := back.(*Transaction); ok && t.Lock != "" {
		return t.Lock
	}
	return there
}

// stillThere is what becomes of a change of which something stays.
func (e *emitter) stillThere(c *spec.Change) string {
	if slices.ContainsFunc(e.programs[c.Name].Expand, func(u migrations.Unit) bool { return !u.Stays }) {
		return fmt.Sprintf("the next expand of %s finds it there", c.Address())
	}
	return fmt.Sprintf("%s does not become absent again", c.Address())
}

// onceMore takes back that a unit was taken back. It leaves the change expanded,
// whatever it was before: rows that were written meanwhile have to be filled.
func (e *emitter) onceMore(c *spec.Change, u migrations.Unit) *Undo {
	if len(u.Statements) == 0 {
		return &Undo{Title: "-"}
	}
	is := func(other migrations.Unit) bool { return other.ID == u.ID }
	verb := string(kindOf(u))
	switch program := e.programs[c.Name]; {
	case slices.ContainsFunc(program.Validate, is):
		verb = string(KindValidate)
	case slices.ContainsFunc(program.Hide, is):
		verb = firstOf(u.Verb, "hide")
	case slices.ContainsFunc(program.Drop, is):
		verb = firstOf(u.Verb, dropVerb)
	}
	return &Undo{Title: verb + " again", Action: e.forward(c, u, migrations.Expanded)}
}

// made are the units of a change that may have been done, in order: of its
// contract those only that its phase or the record says were begun, without what
// the plan has un-hidden by then.
func (e *emitter) made(c *spec.Change) []migrations.Unit {
	program := e.programs[c.Name]
	units := slices.Concat(program.Expand, program.Validate)
	if e.world.phases[c.Name].AtLeast(migrations.Hidden) {
		units = append(units, program.Hide...)
	}
	for _, u := range program.Drop {
		if e.start.phases[c.Name] == migrations.Contracted || e.recorded(c).Units[u.ID] {
			units = append(units, u)
		}
	}
	return units
}

// unhide brings back what a release needs that the rollback goes to.
func (e *emitter) unhide(c *spec.Change) {
	units := e.programs[c.Name].Hide
	for i := len(units) - 1; i >= 0; i-- {
		u := units[i]
		undo := e.backward(c, u)
		if undo == nil || undo.Action == nil || u.Applied && u.WasThere(e.recorded(c)) {
			continue
		}
		s := e.unit(c, u, "")
		s.ID += unhideSuffix
		s.Action, s.Title = undo.Action, undo.Title+" "+u.Title
		s.Lock = reverseLock(undo.Action, s.Lock)
		s.Undo = &Undo{Title: firstOf(u.Verb, "hide") + " again", Action: e.forward(c, u, migrations.Hidden)}
		s.Cause = "the release that the rollback goes to needs it"
		e.add("unhide", s)
	}
}

func (e *emitter) backfill(c *spec.Change) {
	program := e.programs[c.Name]
	for i, b := range program.Backfills {
		s := e.fill(c, b, phaseAfter(i, len(program.Backfills), e.through(c, migrations.Backfilled)))
		if !synced(c) {
			s.Needs = e.rollouts(c.Database)
			s.Guards = e.only(c.Database, "", func(k releaseKey) bool { return e.declared[k].knows[c.Name] })
		}
		e.add("data", s)
	}
}

func (e *emitter) fill(c *spec.Change, b migrations.Backfill, phase migrations.Phase) Step {
	s := Step{
		ID: string(c.Address()) + "/" + b.ID, Address: c.Address(), Kind: KindBackfill,
		Title: b.Table.String() + " rows", Cause: whyFill(c, b.Table),
		Safety: Idempotent, Lock: b.Lock(), Table: b.Table.String(), Source: e.source(b.Source),
		Undo: &Undo{Title: "may stay half done"}, Limits: e.limits(c.Database), Estimate: b.Rows,
		Action: &Backfill{
			Database: c.Database.Name, Change: c.Name, Unit: b.ID, Table: b.Table, Key: b.Key, Set: b.Set, Where: b.Where, Batch: b.Batch,
			Workers: b.Workers, Throttle: b.Throttle, Sample: true, Backward: b.Backward, Lossy: b.Lossy, Cursor: b.Digest, Phase: phase, Digest: e.programs[c.Name].Digest,
		},
		Waits: throttleText(b.Throttle),
	}
	if b.Lossy {
		s.Hazards = append(s.Hazards, migrations.NewHazard("lossy_backfill", "rows may not come back as they were; the spec accepts it"))
	}
	return s
}

// throttleText names the limits that keep a back-fill waiting in earnest.
func throttleText(t spec.Throttle) []string {
	var all []string
	if t.ReplicaLag > 0 {
		all = append(all, "lag < "+shortDuration(t.ReplicaLag))
	}
	if t.WALRate > 0 {
		all = append(all, fmt.Sprintf("WAL < %d MB/s", max(t.WALRate>>20, 1)))
	}
	if t.Latency > 0 {
		all = append(all, "write < "+shortDuration(t.Latency))
	}
	if t.ArchiverBacklog > 0 {
		all = append(all, fmt.Sprintf("archiver < %d behind", t.ArchiverBacklog))
	}
	if t.DeadRows > 0 {
		all = append(all, fmt.Sprintf("dead rows < %d %%", t.DeadRows))
	}
	if t.SQL != "" {
		all = append(all, "sql")
	}
	return all
}

// rollouts are the last steps of the services that use a database: where one is
// put off, writers may be left that it would have stopped.
func (e *emitter) rollouts(db *spec.Database) []string {
	return e.lastOfServices(func(s *spec.Service) bool { return e.uses(s.Name, db.Name) })
}

// verify makes the constraints hold for all rows, and then asks the author's
// questions.
func (e *emitter) verify(c *spec.Change) {
	pending := unapplied(e.programs[c.Name].Validate, e.recorded(c))
	for i, u := range pending {
		phase := migrations.Phase("")
		if len(c.Verifies) == 0 {
			phase = phaseAfter(i, len(pending), migrations.Verified)
		}
		s := e.unit(c, u, phase)
		s.Kind = KindValidate
		s.Cause = e.whyValidate(c, u.Table)
		e.add("data", s)
	}
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
