package planner

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// commentLimit is how many characters a plan may have in Markdown. GitHub takes no
// comment of more than 65,536.
const commentLimit = 65_000

// WriteMarkdown prints a plan for a comment on a pull request: what WriteText
// prints as a table, and the SQL of the steps folded away below. What has no room
// in a comment is left out with a line that says so, SQL first.
func (p *Plan) WriteMarkdown(w io.Writer) error {
	m := &markdown{}
	m.head(p)
	if !p.Empty() {
		tail := fmt.Sprintf("\nfingerprint `%s`\n", p.Fingerprint)
		m.limit = commentLimit - utf8.RuneCountInString(tail)
		m.table(p)
		m.sql(p)
		m.out.WriteString(tail)
	}
	_, err := io.WriteString(w, m.out.String())
	return err
}

type markdown struct {
	out   strings.Builder
	limit int // of what is written, in characters
	size  int
}

func (m *markdown) write(s string) {
	m.out.WriteString(s)
	m.size += utf8.RuneCountInString(s)
}

// fits tells whether there is room for a text, and for room beside.
func (m *markdown) fits(s string, room int) bool {
	return m.size+utf8.RuneCountInString(s)+room <= m.limit
}

func (m *markdown) head(p *Plan) {
	if p.Headline != "" {
		m.write("### " + inMarkdown(p.Headline) + "\n\n")
	}
	m.write("**" + inMarkdown(p.Verdict()) + "**\n\n")
	for _, n := range p.Notes {
		m.write("> note: " + inMarkdown(n) + "\n\n")
	}
}

// lastWords is room for what is said where not all of a plan fits.
const lastWords = 400

func (m *markdown) table(p *Plan) {
	m.write("| # | step | waits for | lock | if it fails |\n|---:|---|---|---|---|\n")
	all := passages(p.Steps)
	for i, each := range all {
		line := each.markdown()
		if !m.fits(line, lastWords) {
			steps, final := 0, 0
			for _, left := range all[i:] {
				if left.step != nil {
					steps++
				}
				if left.step != nil && left.step.Undo == nil {
					final++
				}
			}
			m.write(fmt.Sprintf("\n**A comment has no room for %s more, %d of them irreversible: `pleat show` has all.**\n", plural(steps, "step"), final))
			return
		}
		m.write(line)
	}
	if marks := p.marks(); marks != "" {
		m.write("\n" + inMarkdown(marks) + "\n")
	}
}

func (g passage) markdown() string {
	across := func(text string) string { return "| | " + text + " | | | |\n" }
	switch {
	case g.section != "":
		return across("**" + inMarkdown(g.section) + "**")
	case g.heading != "":
		return across("*" + inMarkdown(g.heading) + "*")
	case g.checkpoint != nil && g.checkpoint.NoReturn:
		return across("**" + inMarkdown(g.checkpoint.line()) + "**")
	case g.checkpoint != nil:
		return across(inMarkdown(g.checkpoint.line()))
	}
	r := rowOf(g.number, *g.step)
	title := "**" + inMarkdown(r.Kind) + "** " + inMarkdown(r.Title)
	for _, line := range g.step.Does {
		title += "<br>" + inMarkdown(line)
	}
	for _, h := range g.step.Hazards {
		title += fmt.Sprintf("<br>⚠ hazard `%s`: %s", h.Code, inMarkdown(h.Text))
	}
	if g.step.Deferred != "" {
		title += "<br>deferred: " + inMarkdown(g.step.Deferred)
	}
	fails := inMarkdown(r.Fails)
	if g.step.Undo == nil {
		fails = "**" + fails + "**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", inMarkdown(r.Number), title, inMarkdown(dash(r.Waits)), inMarkdown(dash(r.Lock)), fails)
}

// sql folds the statements of the steps away, as many as there is room for.
func (m *markdown) sql(p *Plan) {
	var texts []string
	for _, each := range passages(p.Steps) {
		if each.step == nil {
			continue
		}
		if statements := sqlOf(each.step.Action); len(statements) > 0 {
			texts = append(texts, each.fenced(statements))
		}
	}
	if len(texts) == 0 {
		return
	}
	m.write(fmt.Sprintf("\n<details><summary>SQL of %s</summary>\n\n", plural(len(texts), "step")))
	for i, text := range texts {
		if !m.fits(text, lastWords) {
			m.write(fmt.Sprintf("A comment has no room for that of %s: `pleat show --sql` has all.\n\n", plural(len(texts)-i, "step")))
			break
		}
		m.write(text)
	}
	m.write("</details>\n")
}

// fenced is a step's SQL with its undo.
func (g passage) fenced(statements []string) string {
	text := fmt.Sprintf("%d **%s** %s\n%s", g.number, inMarkdown(string(g.step.Kind)), inMarkdown(g.step.Title), fence(statements))
	if g.step.Undo != nil {
		if undo := sqlOf(g.step.Undo.Action); len(undo) > 0 {
			text += "\nundo\n" + fence(undo)
		}
	}
	return text + "\n"
}

// fence is longer than any row of backticks within.
func fence(statements []string) string {
	text := script(statements)
	marks := "```"
	for strings.Contains(text, marks) {
		marks += "`"
	}
	return "\n" + marks + "sql\n" + text + "\n" + marks + "\n"
}

// inMarkdown escapes what Markdown would take for more than text, in one line.
func inMarkdown(s string) string { return markdownMarks.Replace(s) }

var markdownMarks = strings.NewReplacer(
	"\r", " ", "\n", " ", "&", "&amp;", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "|", `\|`, "~", `\~`)
