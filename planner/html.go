package planner

import (
	_ "embed"
	"html/template"
	"io"
	"time"

	"pleat/migrations"
)

//go:embed plan.html
var pageText string

var page = template.Must(template.New("plan").Parse(pageText))

// shownPassage is a passage as the page shows it.
type shownPassage struct {
	Section, Heading, Checkpoint string
	NoReturn                     bool
	Row                          row
	Final                        bool // it has no undo
	Deferred, Loses              string
	Does                         []string
	Hazards                      []migrations.Hazard
	SQL, Undo                    string
}

// WriteHTML prints a plan as one page that needs nothing from elsewhere: what
// WriteText prints, with the SQL of each step folded away in its place.
func (p *Plan) WriteHTML(w io.Writer) error {
	var shown []shownPassage
	for _, g := range passages(p.Steps) {
		shown = append(shown, g.shown())
	}
	return page.Execute(w, struct {
		Plan                 *Plan
		Passages             []shownPassage
		Marks, Made, Expires string
	}{p, shown, p.marks(), instant(p.Made), instant(p.Expires)})
}

// instant is for readers wherever they are; "" for none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func (g passage) shown() shownPassage {
	out := shownPassage{Section: g.section, Heading: g.heading}
	if c := g.checkpoint; c != nil {
		out.Checkpoint, out.NoReturn = c.line(), c.NoReturn
	}
	if g.step == nil {
		return out
	}
	s, r := g.step, rowOf(g.number, *g.step)
	r.Waits, r.Lock = dash(r.Waits), dash(r.Lock)
	out.Row = r
	out.Deferred, out.Does, out.Hazards, out.SQL = s.Deferred, s.Does, s.Hazards, script(sqlOf(s.Action))
	if s.Undo == nil {
		out.Final = true
	} else {
		out.Loses, out.Undo = s.Undo.Loses, script(sqlOf(s.Undo.Action))
	}
	return out
}
