package migrations

import (
	"fmt"
	"slices"
	"strings"

	"pleat/migrations/hazard"
	"pleat/spec"
)

// AuthorSQL is what SQL that an author wrote does, as far as its text tells.
type AuthorSQL struct {
	Lock    Lock     // the strongest
	Table   string   // on which it is taken, as a person reads it
	Does    []string // a line for each statement that locks, reads, writes or loses more than rows of its own
	Hazards []Hazard // those that nobody allowed in the SQL or beside it
}

// budgetCodes are about limits that a migration file sets. pleat leaves those
// out and sets its own.
var budgetCodes = []string{"lock_timeout_too_long", "index_build_lock_timeout"}

// Files says what each file of a directory does, by version. A file is read
// with what the files before it have made.
func Files(d *spec.Migrations) map[uint64]AuthorSQL {
	r := hazard.NewReader(hazard.Options{})
	all := map[uint64]AuthorSQL{}
	for _, f := range d.Files {
		statements, err := r.Read(f.Up)
		if err != nil {
			all[f.Version] = AuthorSQL{Hazards: []Hazard{unread(f.File, err)}}
			continue
		}
		all[f.Version] = authorSQL(statements, f.File, append(slices.Clone(budgetCodes), d.Allow...))
	}
	return all
}

// UnknownHazards are those of a list of codes that no SQL can have.
func UnknownHazards(codes []string) []string {
	return slices.DeleteFunc(slices.Clone(codes), func(code string) bool {
		d, known := hazard.Explain(code)
		return known && d.Found == hazard.InSQL
	})
}

func unread(what string, err error) Hazard {
	return NewHazard("unclassified_sql", "%s: %v", what, err)
}

// authorSQL sums up; where names the SQL in what a person reads.
func authorSQL(statements []hazard.Statement, where string, allow []string) AuthorSQL {
	var a AuthorSQL
	var strongest hazard.Mode
	for _, s := range statements {
		if l := s.Strongest(); l.Mode > strongest {
			strongest = l.Mode
			a.Lock, a.Table = Lock(l.Mode.String()), l.Of()
		}
		if line := deeds(s); line != "" {
			a.Does = append(a.Does, fmt.Sprintf("%s:%d %s", where, s.Line, line))
		}
		for _, f := range s.Risks() {
			if !slices.Contains(allow, f.Code) {
				a.Hazards = append(a.Hazards, NewHazard(f.Code, "%s:%d: %s", where, s.Line, f.Text))
			}
		}
	}
	return a
}

// deeds is one statement in a line; "" for one that nobody can notice.
func deeds(s hazard.Statement) string {
	var parts []string
	for _, l := range s.Locks {
		if l.Mode > hazard.RowExclusive {
			parts = append(parts, fmt.Sprintf("%s on %s", l.Mode, l.Of()))
		}
	}
	for _, t := range s.Rewrites {
		parts = append(parts, "may write "+t.String()+" anew")
	}
	for _, t := range s.Scans {
		if !slices.Contains(s.Rewrites, t) {
			parts = append(parts, "reads all of "+t.String())
		}
	}
	if s.Loses != "" {
		parts = append(parts, "loses "+s.Loses)
	}
	return strings.Join(parts, ", ")
}
