// Package inquiry asks what is outside of pleat: HTTP services, Prometheus, a
// database, programs and files. It answers gates and carries analyses out. It
// owns how an answer is got and judged; what follows from it is its caller's.
package inquiry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"pleat/planner"
	"pleat/spec"
)

// ErrNoData is an answer that holds nothing: it is neither a pass nor a failure.
var ErrNoData = errors.New("no data")

// Options are what a provider needs besides the questions.
type Options struct {
	// Dir is the spec's directory: files and programs are in it.
	Dir string
	// Reveal gives the value of a secret by its reference.
	Reveal func(ref string) (string, bool)
	// Row gives the first row of a query to a database, by its name in the spec,
	// as a JSON object; nil where there is none.
	Row func(ctx context.Context, database, sql string) (json.RawMessage, error)
	// Redact blanks secrets in what is answered; nil: none is known.
	Redact func(text string) string
}

// Provider answers Open and applies Analyze.
type Provider struct{ options Options }

// New makes the provider of all gates and analyses. It asks nothing yet.
func New(options Options) *Provider {
	if options.Redact == nil {
		options.Redact = func(text string) string { return text }
	}
	return &Provider{options}
}

// Ask asks a gate once. A gate without an answer is closed, and says why: it is
// never an error.
func (p *Provider) Ask(ctx context.Context, _ planner.Ticket, g planner.Guard) (planner.Answer, error) {
	open, ok := g.(*planner.Open)
	if !ok {
		return planner.Answer{}, fmt.Errorf("a gate cannot answer %T", g)
	}
	about := about{service: open.Service, release: open.Release}
	found, err := p.answer(ctx, open.Inquiry, about)
	if ctx.Err() != nil {
		return planner.Answer{}, ctx.Err()
	}
	if err != nil {
		return p.closed(open, err.Error()), nil
	}
	met := found.good
	if open.Expect != "" {
		if met, err = spec.Condition(open.Expect, found.values); err != nil {
			return p.closed(open, err.Error()), nil
		}
	}
	if met {
		return planner.Answer{Met: true}, nil
	}
	return p.closed(open, p.refusal(open.Expect, found)), nil
}

// again is how long a gate that is closed is left alone.
const again = 2 * time.Second

func (p *Provider) closed(g *planner.Open, why string) planner.Answer {
	return planner.Answer{Reason: string(g.Provider()) + ": " + p.options.Redact(why), Again: again, Closed: true}
}

// refusal says what an answer was that was not as expected.
func (p *Provider) refusal(expect string, a answer) string {
	if expect == "" {
		return a.text
	}
	return fmt.Sprintf("%s is not so: %s", expect, p.seen(expect, a))
}

// seen are the values that an expression looks at: "open = 2".
func (p *Provider) seen(expression string, a answer) string {
	var parts []string
	shown := map[string]bool{}
	for _, name := range spec.Variables(expression) {
		v, known := a.values[name]
		if known && !shown[name] {
			parts = append(parts, name+" = "+p.text(v))
		}
		shown[name] = true
	}
	return strings.Join(parts, ", ")
}

// text is a value in short.
func (p *Provider) text(v cty.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case v.Type() == cty.String:
		return fmt.Sprintf("%q", p.clip(v.AsString()))
	case v.Type() == cty.Number:
		return v.AsBigFloat().Text('g', 6)
	case v.Type() == cty.Bool:
		return fmt.Sprint(v.True())
	}
	return v.Type().FriendlyName()
}

// How much is shown of a value, and of a line that says what is wrong.
const (
	clipped = 60
	longest = 300
)

func (p *Provider) clip(s string) string { return p.cut(s, clipped) }

func (p *Provider) short(s string) string { return p.cut(s, longest) }

// cut blanks secrets first: half of one is not known for one.
func (p *Provider) cut(s string, length int) string {
	s = p.options.Redact(s)
	if len(s) > length {
		return strings.ToValidUTF8(s[:length], "") + "…"
	}
	return s
}

// Apply carries an analysis out and returns its verdict: nil for a pass, a
// *VerdictError otherwise. It returns as soon as the verdict cannot change.
func (p *Provider) Apply(ctx context.Context, _ planner.Ticket, s planner.Step, report func(planner.Report)) error {
	a, ok := s.Action.(*planner.Analyze)
	if !ok {
		return fmt.Errorf("an analysis cannot do %T", s.Action)
	}
	return p.analyze(ctx, a, report)
}

// Probe tells that nothing was done: a verdict is of the attempt that came to it.
func (p *Provider) Probe(context.Context, planner.Ticket, planner.Step) (planner.Outcome, error) {
	return planner.NotDone, nil
}
