package planner

import (
	"fmt"
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// checkDirectories refuses a directory that cannot go forward from where it is.
func (p *planning) checkDirectories() {
	for _, d := range p.spec.Migrations {
		live := p.liveVersion(d)
		if live.Dirty {
			p.diags = append(p.diags, p.dirty(d, live))
			continue
		}
		if live.Halfway != nil {
			p.checkHalfway(d, live.Halfway)
		}
		if p.goal.Rollback {
			continue
		}
		for _, code := range migrations.UnknownHazards(d.Allow) {
			p.diags = append(p.diags, problem("Unknown hazard", fmt.Sprintf("There is no hazard %q to allow in SQL. `pleat explain` lists them.", code), d.Range))
		}
		p.checkVersion(d, live)
		p.checkHistory(d, live)
		for _, f := range d.Files {
			if f.Version <= live.Version || f.Version > d.Version {
				continue
			}
			if _, err := migrations.Pieces(f.Up); err != nil {
				p.diags = append(p.diags, problem("Migration not supported", fmt.Sprintf("%s: %s.", f.File, err), d.Range))
			}
		}
	}
}

// checkHalfway refuses what cannot be gone on with: a file of which the part
// that ran was changed, and a way back for releases that do not live with the
// version which it leads to.
func (p *planning) checkHalfway(d *spec.Migrations, h *Halfway) {
	i := slices.IndexFunc(d.Files, func(f spec.Migration) bool { return f.Version == max(h.From, h.To) })
	if i < 0 {
		p.diags = append(p.diags, problem("Migration left half done",
			fmt.Sprintf("%s: %s ran of the migration from %s to %s, and %s does not have it any more.", d.Address(), statementCount(h.Statements), orNone(h.From), orNone(h.To), d.Source), d.Range))
		return
	}
	f := &d.Files[i]
	if p.goal.Rollback {
		p.checkReturn(d, f, h)
		return
	}
	if err := resumable(f, h); err != nil {
		p.diags = append(p.diags, problem("Migration changed half way",
			fmt.Sprintf("%s: %s ran before it stopped, and now %s. Put those back; what comes after them may be changed.", f.File, statementCount(h.Statements), err), d.Range))
	}
}

// checkReturn refuses to go back to releases that do not live with where a file
// that is half through leads.
func (p *planning) checkReturn(d *spec.Migrations, f *spec.Migration, h *Halfway) {
	for _, s := range p.spec.Services {
		if m := p.outOfRange(releaseKey{s.Name, p.target(s)}, d, max(h.From, h.To), false); m != nil {
			p.diags = append(p.diags, problem("Migration left half done",
				fmt.Sprintf("%s ran of %s, and %s.", statementCount(h.Statements), f.File, m.why), d.Range))
		}
	}
}

// resumable tells why a file cannot be gone on with.
func resumable(f *spec.Migration, h *Halfway) error {
	sql := f.Up
	if h.To < h.From {
		sql = f.Down
	}
	pieces, err := migrations.Pieces(sql)
	if err == nil {
		_, err = migrations.Rest(pieces, h.Statements, h.Through)
	}
	return err
}

func statementCount(n int) string {
	switch n {
	case 0:
		return "nothing"
	case 1:
		return "1 statement"
	}
	return fmt.Sprintf("%d statements", n)
}

func (p *planning) checkVersion(d *spec.Migrations, live Version) {
	known := slices.ContainsFunc(d.Files, func(f spec.Migration) bool { return f.Version == live.Version })
	switch {
	case live.Version > d.Version:
		p.diags = append(p.diags, problem("Version would go down",
			fmt.Sprintf("%s is at %d, and the spec says %d: that would migrate DOWN, and pleat does not by itself.", d.Address(), live.Version, d.Version), d.VersionRange))
	case live.Version != 0 && !known:
		p.diags = append(p.diags, problem("Unknown live version",
			fmt.Sprintf("%s is at %d, and %s has no migration of that version.", d.Address(), live.Version, d.Source), d.Range))
	}
}
