package spec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func (l *loader) gate(n *node, g *Gate) {
	b := l.oneWay(n)
	if b == nil {
		return
	}
	g.Inquiry = l.inquiry(b, string(g.Address()))
	g.Expect = b.expression("expect")
}

func (l *loader) analysis(n *node, a *Analysis) {
	a.Pass, a.Fail = n.expression("pass"), n.expression("fail")
	a.Count, a.Interval = n.count("count"), n.duration("interval")
	a.Failures, a.Inconclusive, a.DryRun = n.count("failures"), n.count("inconclusive"), n.flag("dry_run")
	a.MinSamples = n.count("min_samples")
	if b := l.oneWay(n); b != nil {
		a.Inquiry = l.inquiry(b, string(a.Address()))
		if a.Inquiry.Kind == InquiryPrometheus {
			a.Inquiry.Samples = b.str("samples")
		}
		if a.MinSamples > 0 && a.Inquiry.Kind == InquiryPrometheus && a.Inquiry.Samples == "" {
			l.add(n.at("min_samples"), "No samples", "With min_samples, %s of %s needs the argument samples: PromQL that gives how many a measurement rests on.", b.title(), n.title())
		}
	}
	if !n.has("pass") && !n.has("fail") {
		l.add(n.rng(), "No verdict", "%s needs an argument pass or fail, or both: what a measurement must be like.", n.title())
	}
}

// oneWay is the block that says whom to ask.
func (l *loader) oneWay(n *node) *node {
	if len(n.children) == 1 {
		return n.children[0]
	}
	if !n.later() {
		l.add(n.rng(), "One way to ask", "%s needs exactly one of the blocks %s.", n.title(), strings.Join(n.table.blockNames(), ", "))
	}
	return nil
}

func (l *loader) inquiry(n *node, ref string) *Inquiry {
	q := &Inquiry{Kind: InquiryKind(n.syntax.Type), Range: n.rng()}
	if q.Kind != InquiryFile {
		q.Timeout = n.duration("timeout")
	}
	switch q.Kind {
	case InquiryHTTP, InquiryPrometheus:
		q.URL = n.text("url", ref+".url")
		q.Headers = n.textMap("headers", ref+".headers")
		if q.Kind == InquiryPrometheus {
			q.Query = n.str("query")
		}
		if url := q.URL.Reveal(); url != "" && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			l.add(n.at("url"), "Invalid URL", "The argument url of %s begins with http:// or https://.", n.title())
		}
	case InquirySQL:
		q.SQL = n.str("sql")
		if d := l.databaseOf(n); d != nil {
			q.Database = d.Name
		}
	case InquiryCommand:
		q.Command = n.argv("command")
	case InquiryFile:
		q.Path = n.str("path")
	}
	return q
}

// expression is an argument whose text is an expression that is evaluated
// later, when there are answers.
func (n *node) expression(name string) string {
	text := n.str(name)
	if text == "" {
		if n.has(name) {
			n.problems.add(n.at(name), "Empty expression", "The argument %s of %s is an expression such as \"value < 0.01\".", name, n.title())
		}
		return ""
	}
	if _, diags := hclsyntax.ParseExpression([]byte(text), name, hcl.InitialPos); diags.HasErrors() {
		n.problems.add(n.at(name), "Invalid expression", "The argument %s of %s cannot be read as an expression: %s", name, n.title(), diags[0].Detail)
	}
	return text
}
