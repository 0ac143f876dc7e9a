package planner

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"pleat/spec"
)

// RenderOptions shape a plan for a reader.
type RenderOptions struct {
	Width int  // columns; 0 = 80
	Color bool // ANSI colours
}

// wide is from how many columns on locks have a column of their own, narrow up to
// how many there is no room for any: steps are a list then.
const wide, narrow = 100, 78

const (
	bold, dim, red, yellow, reset = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
)

// WriteText prints a plan as a person reads it: the verdict first and last,
// one step a line in execution order.
func (p *Plan) WriteText(w io.Writer, o RenderOptions) error {
	if o.Width == 0 {
		o.Width = 80
	}
	t := &text{options: o, out: &strings.Builder{}}
	t.plan(p)
	_, err := io.WriteString(w, t.out.String())
	return err
}

// Verdict is the plan in one line.
func (p *Plan) Verdict() string {
	if p.Empty() {
		if p.Kind == "rollback" {
			return "Nothing to do: the release asked for is the current release."
		}
		return "Nothing to do: what is live is what the spec says."
	}
	text := plural(p.Now(), "step") + " now"
	if n := p.Deferred(); n > 0 {
		text += fmt.Sprintf(", %d deferred (%s)", n, strings.Join(p.reasons(), "; "))
	}
	if n := p.Irreversible(); n > 0 {
		text += fmt.Sprintf(", %d irreversible", n)
	}
	return text + "."
}

func (p *Plan) reasons() []string {
	var out []string
	words := p.Words()
	for _, s := range p.Steps {
		switch {
		case s.Deferred == "":
		case len(words) > fewWords && len(WordsIn(s.Deferred)) > 0:
			out = append(out, fmt.Sprintf("%d words of --acknowledge are needed, below", len(words)))
		default:
			out = append(out, s.Deferred)
		}
	}
	return distinct(out)
}

// fewWords are those that a verdict has room for.
const fewWords = 2

// Words are the arguments "--acknowledge DATABASE:OBJECT" that steps wait for,
// each once.
func (p *Plan) Words() []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, WordsIn(s.Deferred)...)
	}
	return distinct(out)
}

const needsWord = "needs --acknowledge "

// NeedsWords is why a step is deferred that waits for words of --acknowledge,
// which are arguments as a shell reads them; "" for none.
func NeedsWords(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return needsWord + strings.Join(words, " --acknowledge ")
}

// WordsIn are the arguments "--acknowledge DATABASE:OBJECT" of a text that ends
// with a reason of NeedsWords.
func WordsIn(reason string) []string {
	_, words, ok := strings.Cut(reason, needsWord)
	if !ok {
		return nil
	}
	var out []string
	for _, w := range strings.Split(words, " --acknowledge ") {
		out = append(out, "--acknowledge "+w)
	}
	return out
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type text struct {
	options RenderOptions
	out     *strings.Builder
}

func (t *text) plan(p *Plan) {
	if p.Headline != "" {
		t.wrapped(bold, p.Headline)
	}
	t.wrapped(bold, p.Verdict())
	t.notes(p)
	if p.Empty() {
		return
	}
	t.line("", "")
	if t.options.Width > narrow {
		t.row("", row{Number: "#", Kind: "step", Waits: "waits for", Lock: "lock", Fails: "if it fails"})
	}
	t.steps(p.Steps)
	t.line("", "")
	if words := p.Words(); len(words) > fewWords {
		t.wrapped("", "What is to be dropped wants a word each:")
		for _, w := range words {
			t.line("", "  "+w)
		}
		t.line("", "")
	}
	if p.Deferred() > 0 {
		t.wrapped(dim, "~ deferred: not now, for the reason below")
	}
	t.wrapped(bold, p.Verdict())
	t.line(dim, "fingerprint "+p.Fingerprint)
}

// steps prints them under headings that say why they are there and where the
// author asked for it.
func (t *text) steps(steps []Step) {
	for _, e := range passages(steps) {
		switch {
		case e.section != "":
			t.line("", "")
			t.wrapped(bold, "      "+e.section)
		case e.heading != "":
			t.wrapped(dim, "      "+e.heading)
		case e.checkpoint != nil:
			t.checkpoint(e.checkpoint)
		default:
			t.step(e.number, *e.step)
		}
	}
}

func (t *text) notes(p *Plan) {
	for _, n := range p.Notes {
		t.wrapped(yellow, "note: "+n)
	}
}

func (t *text) checkpoint(c *Checkpoint) {
	color := dim
	if c.NoReturn {
		color = red
	}
	t.wrapped(color, "      "+c.line())
}

func (t *text) step(n int, s Step) {
	color := ""
	if s.Undo == nil {
		color = red
	}
	if s.Deferred != "" {
		color = firstOf(color, dim)
	}
	t.row(color, rowOf(n, s))
	for _, line := range s.Does {
		t.wrapped(dim, "      "+line)
	}
	for _, h := range s.Hazards {
		t.wrapped(yellow, fmt.Sprintf("      hazard %s: %s", h.Code, h.Text))
	}
}

// lockText is the lock with the longest that anybody may wait behind it.
func lockText(s Step) string {
	if s.Lock == "" {
		return ""
	}
	if b, ok := s.Action.(*Backfill); ok {
		text := fmt.Sprintf("ROW, %d at a time", b.Batch)
		if b.Workers > 1 {
			text += fmt.Sprintf(", %d workers", b.Workers)
		}
		return text
	}
	if s.Limits.LockWait == 0 {
		return string(s.Lock)
	}
	return fmt.Sprintf("%s <%s", s.Lock, shortDuration(s.Limits.LockWait))
}

// row prints one line of the table, cells wrapped under themselves.
func (t *text) row(color string, r row) {
	switch {
	case t.options.Width >= wide:
		rest := t.options.Width - 97
		t.numbered(color, r.Number, layout([]cell{{r.Kind, 9}, {r.Title, 28 + rest/2}, {dash(r.Waits), 17 + rest - rest/2}, {dash(r.Lock), 23}, {r.Fails, 14}}))
	case t.options.Width > narrow:
		both := strings.Trim(r.Waits+", "+r.Lock, ", ")
		t.numbered(color, r.Number, layout([]cell{{r.Kind, 8}, {r.Title, 26}, {dash(both), 23}, {r.Fails, 13}}))
	default:
		t.listed(color, r)
	}
}

// listed prints a step where columns have no room: what it is, and below that
// what the other columns would say.
func (t *text) listed(color string, r row) {
	room := t.options.Width - len("    ") - len("  ")
	var beside []string
	if r.Waits != "" {
		beside = append(beside, "waits for "+r.Waits)
	}
	if r.Lock != "" {
		beside = append(beside, "lock "+r.Lock)
	}
	switch r.Fails {
	case "-":
	case irreversible:
		beside = append(beside, irreversible)
	default:
		beside = append(beside, "if it fails: "+r.Fails)
	}
	lines := spec.Wrap(r.Kind+" "+r.Title, room)
	if len(beside) > 0 {
		lines = append(lines, spec.Wrap(strings.Join(beside, " · "), room)...)
	}
	t.numbered(color, r.Number, lines)
}

// numbered prints lines with the number of their step before the first.
func (t *text) numbered(color, number string, lines []string) {
	for _, l := range lines {
		t.line(color, strings.TrimRight(pad(number, 4, true)+"  "+l, " "))
		number = ""
	}
}

type cell struct {
	text  string
	width int
}

// layout wraps each cell to its width and joins them line by line.
func layout(cells []cell) []string {
	var columns [][]string
	height := 0
	for _, c := range cells {
		lines := spec.Wrap(c.text, c.width)
		columns = append(columns, lines)
		height = max(height, len(lines))
	}
	out := make([]string, height)
	for y := range out {
		for x, c := range cells {
			piece := ""
			if y < len(columns[x]) {
				piece = columns[x][y]
			}
			out[y] += pad(piece, c.width, false) + " "
		}
	}
	return out
}

func pad(s string, width int, right bool) string {
	blanks := strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
	if right {
		return blanks + s
	}
	return s + blanks
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// wrapped prints a sentence, indented below itself.
func (t *text) wrapped(color, s string) {
	body := strings.TrimLeft(s, " ")
	indent := strings.Repeat(" ", len(s)-len(body))
	for i, l := range spec.Wrap(body, t.options.Width-len(indent)-3) {
		if i > 0 {
			l = "   " + l
		}
		t.line(color, indent+l)
	}
}

func (t *text) line(color, s string) {
	if color != "" && t.options.Color && s != "" {
		s = color + s + reset
	}
	t.out.WriteString(s + "\n")
}

// thousands groups digits: 1,204,113.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
