package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// history is what is recorded of a directory, by version.
type history []Applied

func (p *planning) applied(d *spec.Migrations) history {
	if db := p.state.Databases[d.Database.Name]; db != nil {
		return db.Applied[d.Name]
	}
	return nil
}

func (h history) at(version uint64) *Applied {
	i := slices.IndexFunc(h, func(a Applied) bool { return a.Version == version })
	if i < 0 {
		return nil
	}
	return &h[i]
}

func (h history) last() uint64 {
	var last uint64
	for _, a := range h {
		last = max(last, a.Version)
	}
	return last
}

// AppliedOf is a version as it is recorded where pleat did not run it.
func AppliedOf(f spec.Migration) Applied {
	sum := sha256.Sum256([]byte(f.Up))
	return Applied{Version: f.Version, SHA256: hex.EncodeToString(sum[:]), TakenOver: true}
}

// checkHistory refuses a file that came too late to be run, and names those
// that were changed since they were. What came before the record, nobody can
// tell from what came too late.
func (p *planning) checkHistory(d *spec.Migrations, live Version) {
	known := p.applied(d)
	last := min(known.last(), live.Version)
	for _, f := range d.Files {
		if f.Version > live.Version {
			break
		}
		was := known.at(f.Version)
		switch {
		case was == nil && f.Version < last:
			p.diags = append(p.diags, problem("Migration out of order", fmt.Sprintf(
				"%s never ran, and %s is at %d: it came after later ones had. Give it a number above %d; or, where what it does is there already: pleat migrations force %s %d",
				f.File, d.Address(), live.Version, live.Version, d.Name, live.Version), d.Range))
		case was != nil && was.SHA256 != AppliedOf(f).SHA256:
			p.drift = append(p.drift, fmt.Sprintf(
				"%s was changed after %s: what is live is not what it says. Put it back; or, where the database is as the file is now: pleat migrations force %s %d",
				f.File, was.how(), d.Name, live.Version))
		}
	}
}

func (a Applied) how() string {
	if a.TakenOver {
		return "pleat took it over"
	}
	return "it ran"
}

// dirty explains a directory that somebody else left dirty: what of the file is
// there, and the ways out.
func (p *planning) dirty(d *spec.Migrations, live Version) *hcl.Diagnostic {
	traces := p.state.Databases[d.Database.Name].Traces[d.Name]
	text := fmt.Sprintf("%s is dirty at version %s: golang-migrate began a migration and did not finish it.", d.Address(), numberOrNone(live.Version))
	i := slices.IndexFunc(d.Files, func(f spec.Migration) bool { return f.Version == live.Version })
	if i >= 0 && len(traces) > 0 {
		text += fmt.Sprintf(" Of %s:%s", d.Files[i].File, traceLines(traces))
	}
	text += "\nPut right what is there by halves, and say how far it is:"
	if i >= 0 {
		text += fmt.Sprintf("\n  all of it is there: pleat migrations force %s %d", d.Name, live.Version)
	}
	if i >= 0 && len(traces) > 1 {
		text += fmt.Sprintf("\n  the first %d statements are: pleat migrations force %s %d --through %d, and apply goes on with the next",
			max(leading(traces), 1), d.Name, live.Version, max(leading(traces), 1))
	}
	before := uint64(0)
	for _, f := range d.Files {
		if f.Version < live.Version {
			before = f.Version
		}
	}
	text += fmt.Sprintf("\n  nothing of it is: pleat migrations force %s %d", d.Name, before)
	return problem("Migration left half done", text, d.Range)
}

func numberOrNone(version uint64) string {
	if version == 0 {
		return "none"
	}
	return fmt.Sprint(version)
}

func traceLines(traces []Trace) string {
	var lines strings.Builder
	for _, t := range traces {
		found := string(t.Found)
		switch t.Found {
		case "":
			found = "no catalog shows it"
		case Invalid:
			found = "there and INVALID: drop it"
		}
		fmt.Fprintf(&lines, "\n  %d %s: %s", t.Number, t.SQL, found)
	}
	return lines.String()
}

// leading counts the statements before the first that is known not to be there.
func leading(traces []Trace) int {
	i := slices.IndexFunc(traces, func(t Trace) bool { return t.Found == NotThere || t.Found == Invalid })
	if i < 0 {
		return len(traces)
	}
	return i
}
