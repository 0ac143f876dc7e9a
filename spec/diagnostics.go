package spec

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// RenderOptions say how diagnostics look on a terminal.
type RenderOptions struct {
	Width int // columns; 0 = 80
	Color bool
}

const (
	defaultWidth = 80
	minWidth     = 40
)

// WriteDiagnostics writes diagnostics for a person: summary, place, the line
// of the source with carets under what is meant, and the detail, wrapped.
// sources are a Spec's; a place in another file is named without its line.
// Control characters of the source are written as U+FFFD.
func WriteDiagnostics(w io.Writer, sources map[string][]byte, diags hcl.Diagnostics, options RenderOptions) error {
	r := renderer{sources: sources, width: options.Width, color: options.Color}
	if r.width == 0 {
		r.width = defaultWidth
	}
	r.width = max(r.width, minWidth)
	for i, d := range diags {
		if i > 0 {
			r.line("")
		}
		r.diagnostic(d)
	}
	_, err := io.WriteString(w, r.out.String())
	return err
}

// renderer writes diagnostics as text.
type renderer struct {
	sources map[string][]byte
	width   int
	color   bool
	out     strings.Builder
}

func (r *renderer) line(format string, args ...any) {
	fmt.Fprintf(&r.out, format, args...)
	r.out.WriteByte('\n')
}

// Colours of the terminal.
const (
	red    = "31;1"
	yellow = "33;1"
	bold   = "1"
	faint  = "2"
)

func (r *renderer) paint(code, s string) string {
	if !r.color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (r *renderer) diagnostic(d *hcl.Diagnostic) {
	color, severity := red, severityWord(d.Severity)
	if d.Severity == hcl.DiagWarning {
		color = yellow
	}
	r.line("%s %s", r.paint(color, upperFirst(severity)+":"), r.paint(bold, printable(d.Summary)))
	if d.Subject != nil {
		r.place(*d.Subject, "", color)
	}
	for _, p := range related(d) {
		r.place(p.Range, p.Note, faint)
	}
	if d.Detail != "" {
		r.line("")
		r.detail(d.Detail)
	}
}

func severityWord(s hcl.DiagnosticSeverity) string {
	if s == hcl.DiagWarning {
		return "warning"
	}
	return "error"
}

func related(d *hcl.Diagnostic) Related {
	places, _ := d.Extra.(Related)
	return places
}

// place shows one range: where it is and, if its file is at hand, the line.
func (r *renderer) place(rng hcl.Range, note, color string) {
	if rng.Filename == "" {
		return
	}
	where := fmt.Sprintf("%s:%d:%d", printable(rng.Filename), rng.Start.Line, rng.Start.Column)
	if note != "" {
		where += ": " + note
	}
	r.line("  %s", where)
	x, ok := cut(r.sources[rng.Filename], rng)
	if !ok {
		return
	}
	number := fmt.Sprint(rng.Start.Line)
	margin := strings.Repeat(" ", len(number))
	x.crop(r.width - len(number) - len("     "))
	r.line("  %s %s", r.paint(faint, number+" |"), x.line)
	r.line("  %s %s%s", r.paint(faint, margin+" |"), strings.Repeat(" ", x.before), r.paint(color, strings.Repeat("^", x.marked)))
}

// detail wraps paragraphs; lines that are indented are code and stay whole.
func (r *renderer) detail(text string) {
	for _, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			r.line("%s", strings.TrimRight("  "+printable(line), " "))
			continue
		}
		for _, wrapped := range Wrap(printable(line), r.width-2) {
			r.line("  %s", wrapped)
		}
	}
}

// Wrap breaks a text between words for so many columns. A word that is longer
// stands alone, and an argument like --var stays with its value.
func Wrap(text string, width int) []string {
	var lines []string
	line, columns := "", 0
	for _, word := range together(strings.Fields(text)) {
		w := displayWidth(word)
		if line != "" && columns+1+w > width {
			lines = append(lines, line)
			line, columns = "", 0
		}
		if line != "" {
			line, columns = line+" ", columns+1
		}
		line, columns = line+word, columns+w
	}
	return append(lines, line)
}

// together makes one word of an argument and its value.
func together(words []string) []string {
	var out []string
	for i, w := range words {
		if i > 0 && strings.HasPrefix(words[i-1], "--") {
			out[len(out)-1] += " " + w
			continue
		}
		out = append(out, w)
	}
	return out
}
