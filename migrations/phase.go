package migrations

import (
	"fmt"
	"slices"
	"strings"
)

// Phase tells how far the change has come. The catalog decides; the record
// counts for what no catalog shows (rows filled, verifies passed, an author's
// SQL), and only if it is of the change as it is written. What was recorded as
// taken away stays so: a column of that name that is there is somebody else's,
// and nothing is taken away because of it. A change without
// backfills or verifies stays in the phase that was recorded, or Expanded. The
// sentences name each object of which record and catalog say different things.
func (p *Program) Phase(rec Recorded) (Phase, []string) {
	phase := p.derive(rec)
	if rec.Digest != p.Digest {
		return phase, nil
	}
	return phase, p.drift(rec, phase)
}

// Takes tells whether the expand block has taken away what an earlier change
// may have made: the record says so, because what never was there looks the
// same to the catalog.
func (p *Program) Takes(rec Recorded) bool {
	return slices.ContainsFunc(p.Expand, func(u Unit) bool { return u.takes && rec.Units[u.ID] })
}

// WasThere tells whether what the unit makes was there before the change, as
// far as the record knows: then nothing takes it away.
func (u Unit) WasThere(rec Recorded) bool { return u.ByRecord != "" && !rec.Units[u.ByRecord] }

// Wait is why the expand of a change cannot begin yet: another change has to come
// first, or to its end. The zero value: it can begin.
type Wait struct {
	Change string // the other one
	Why    string // what it does until then, as a sentence
}

// Waits says what the expand of a change has to wait for that comes by itself.
func (p *Program) Waits(rec Recorded) Wait {
	for _, u := range p.Expand {
		if u.waits != (Wait{}) && !u.done(rec) {
			return u.waits
		}
	}
	return Wait{}
}

func (p *Program) derive(rec Recorded) Phase {
	structure, synced := p.expanded(rec)
	same := rec.Digest == p.Digest
	switch {
	case same && rec.Phase == Contracted:
		return Contracted
	case structure && len(p.Drop) > 0 && all(p.Drop, rec):
		return Contracted
	case structure && len(p.Hide) > 0 && (all(p.Hide, rec) || same && rec.Phase == Hidden):
		return Hidden
	case !structure || !synced:
		return Absent
	case same && rec.Phase.AtLeast(Verified) && all(p.Validate, rec):
		return Verified
	case same && rec.Phase.AtLeast(Backfilled):
		return Backfilled
	}
	return Expanded
}

// expanded looks at the triggers apart: a contracted change has none any more.
func (p *Program) expanded(rec Recorded) (structure, synced bool) {
	structure, synced = true, true
	for _, u := range p.Expand {
		if u.done(rec) {
			continue
		}
		if u.isSync() {
			synced = false
			continue
		}
		structure = false
	}
	return structure, synced
}

func (u Unit) isSync() bool { return strings.HasPrefix(u.ID, "sync.") }

func (u Unit) done(rec Recorded) bool {
	if u.Visible {
		return u.Applied
	}
	return rec.Units[u.ID]
}

func all(units []Unit, rec Recorded) bool {
	for _, u := range units {
		if !u.done(rec) {
			return false
		}
	}
	return true
}

// drift is empty for a change of which nothing is recorded.
func (p *Program) drift(rec Recorded, live Phase) []string {
	if rec.Phase == "" || rec.Phase == Absent {
		return nil
	}
	var found []string
	for _, u := range p.Expand {
		if (u.isSync() || u.passing) && live == Contracted {
			continue
		}
		found = append(found, p.sentences(u, "is missing", rec.Phase)...)
	}
	if rec.Phase == Verified {
		found = append(found, p.unitSentences(p.Validate, "does not hold for all rows", rec.Phase)...)
	}
	if rec.Phase == Hidden {
		found = append(found, p.unitSentences(p.Hide, "is not hidden", rec.Phase)...)
	}
	if rec.Phase == Contracted {
		found = append(found, p.unitSentences(p.Drop, "is still there", rec.Phase)...)
	}
	if live.AtLeast(Hidden) && !rec.Phase.AtLeast(live) {
		found = append(found, p.early(live, rec.Phase)...)
	}
	return found
}

func (p *Program) unitSentences(units []Unit, state string, recorded Phase) []string {
	var found []string
	for _, u := range units {
		found = append(found, p.sentences(u, state, recorded)...)
	}
	return found
}

func (p *Program) sentences(u Unit, state string, recorded Phase) []string {
	var found []string
	for _, object := range u.missing {
		found = append(found, fmt.Sprintf("%s %s, and change %s is recorded as %s", object, state, p.Change.Name, recorded))
	}
	return found
}

// early names what went away without pleat.
func (p *Program) early(live, recorded Phase) []string {
	units, state := p.Hide, "hidden"
	if live == Contracted {
		units, state = p.Drop, "gone"
	}
	var found []string
	for _, u := range units {
		if u.Visible {
			found = append(found, fmt.Sprintf("%s is %s, and change %s is recorded as %s", u.Title, state, p.Change.Name, recorded))
		}
	}
	return found
}
