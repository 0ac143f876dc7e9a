package planner_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	xhtml "golang.org/x/net/html"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"pleat/migrations"
	"pleat/planner"
)

// github reads Markdown as comments are read.
var github = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))

func webpage(t testing.TB, p *planner.Plan) *xhtml.Node {
	t.Helper()
	var out strings.Builder
	if err := p.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	return parsed(t, out.String())
}

func comment(t testing.TB, p *planner.Plan) *xhtml.Node {
	t.Helper()
	var out, rendered strings.Builder
	if err := p.WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	if err := github.Convert([]byte(out.String()), &rendered); err != nil {
		t.Fatal(err)
	}
	return parsed(t, rendered.String())
}

func parsed(t testing.TB, text string) *xhtml.Node {
	t.Helper()
	n, err := xhtml.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// all are the elements of a name, in their order.
func all(n *xhtml.Node, name string) []*xhtml.Node {
	var out []*xhtml.Node
	for d := range n.Descendants() {
		if d.Type == xhtml.ElementNode && d.Data == name {
			out = append(out, d)
		}
	}
	return out
}

// shown is the text that a reader sees, its blanks as one each.
func shown(n *xhtml.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == xhtml.TextNode {
			out.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// cells are those of the rows of steps.
func cells(n *xhtml.Node) [][]string {
	var out [][]string
	for _, row := range all(n, "tr") {
		var cells []string
		for _, cell := range all(row, "td") {
			cells = append(cells, shown(cell))
		}
		if len(cells) > 0 && cells[0] != "" {
			out = append(out, cells)
		}
	}
	return out
}

// TestEveryPlanCanBeReadElsewhere has each golden plan read by a reader of Markdown
// and one of HTML: each step has its row, and no row has lost or gained a column.
func TestEveryPlanCanBeReadElsewhere(t *testing.T) {
	files, _ := filepath.Glob("../testdata/plan/*.txtar")
	read := 0
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sp, st, goal := world(t, a)
		p, _ := planner.Make(sp, st, goal)
		if p == nil {
			continue
		}
		read++
		steps := p.Now() + p.Deferred()
		for name, each := range map[string]struct {
			rows    [][]string
			columns int
		}{"markdown": {cells(comment(t, p)), 5}, "html": {cells(webpage(t, p)), 6}} {
			if len(each.rows) != steps {
				t.Errorf("%s as %s: %d rows, want %d", filepath.Base(file), name, len(each.rows), steps)
			}
			for _, row := range each.rows {
				if len(row) != each.columns {
					t.Errorf("%s as %s: %d columns: %q", filepath.Base(file), name, len(row), row)
				}
			}
		}
	}
	if read == 0 {
		t.Fatal("no plan was read")
	}
}

// TestNothingInAPlanIsMarkup: names and SQL are an author's, and mean nothing to
// whoever shows them.
func TestNothingInAPlanIsMarkup(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		piece := rapid.OneOf(
			rapid.StringOfN(rapid.SampledFrom([]rune("<>&|*_`~[]()\\\"'!#-: \n")), 1, 1, -1),
			rapid.SampledFrom([]string{"<b>", "</table>", "<!-- ", "&lt;", "[x](y)", "![x](y)", "**x**", "~~x~~", "```", "<br>", "$$", "{{x}}"}),
			rapid.StringOfN(rapid.RuneFrom(nil, unicode.Letter, unicode.Digit), 1, 3, -1),
		)
		words := strings.Join(rapid.SliceOf(piece).Draw(r, "words"), "")
		text := "a" + words + "z"
		p := &planner.Plan{Steps: []planner.Step{{
			ID: "1", Address: "change.it", Kind: planner.KindExpand, Title: text, Cause: text, Waits: []string{text}, Does: []string{text},
			Hazards: []migrations.Hazard{{Code: "data_loss", Text: text}}, Deferred: text,
			Action: &planner.Transaction{SQL: []string{text}}, Undo: &planner.Undo{Title: text, Loses: text, Action: &planner.Transaction{SQL: []string{text}}},
		}}}
		want := strings.Join(strings.Fields(text), " ")
		row := cells(comment(t, p))[0]
		if diff := cmp.Diff([]string{
			"~1", fmt.Sprintf("expand %s %[1]s ⚠ hazard data_loss : %[1]s deferred: %[1]s", want), want, "-", want,
		}, row); diff != "" {
			r.Errorf("as Markdown (-want +got):\n%s", diff)
		}
		if got := shown(all(comment(t, p), "pre")[0]); got != strings.Join(strings.Fields(text+";"), " ") {
			r.Errorf("the SQL is %q, want %q", got, want+";")
		}
		row = cells(webpage(t, p))[0]
		if row[0] != "~1" || row[1] != "expand" || row[3] != want || row[5] != want || !strings.HasPrefix(row[2], want+" "+want+" hazard data_loss : "+want) {
			r.Errorf("as HTML: %q, want %q", row, want)
		}
	})
}

// TestALongPlanFitsIntoAComment, and says what is not there.
func TestALongPlanFitsIntoAComment(t *testing.T) {
	for _, test := range []struct {
		steps, irreversible int
		sql, want           string
	}{
		{100, 0, strings.Repeat("x", 2000), "A comment has no room for that of 7"},
		{3000, 2, "select 1", "steps more, 2 of them irreversible: `pleat show` has all."},
	} {
		p := &planner.Plan{Fingerprint: "sha256:end"}
		for n := range test.steps {
			s := planner.Step{
				ID: fmt.Sprint(n), Address: "change.it", Kind: planner.KindExpand, Title: fmt.Sprintf("number %d", n), Cause: "why",
				Action: &planner.Transaction{SQL: []string{test.sql}}, Undo: &planner.Undo{Title: "back", Action: &planner.Transaction{}},
			}
			if n >= test.steps-test.irreversible {
				s.Undo = nil
			}
			p.Steps = append(p.Steps, s)
		}
		var out strings.Builder
		if err := p.WriteMarkdown(&out); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if n := utf8.RuneCountInString(got); n > 65_536 || n < 60_000 {
			t.Errorf("%d steps are %d characters", test.steps, n)
		}
		if !strings.Contains(got, test.want) || !strings.HasSuffix(got, "\nfingerprint `sha256:end`\n") {
			t.Errorf("it does not say %q, or has no end:\n%s", test.want, got[len(got)-600:])
		}
	}
}
