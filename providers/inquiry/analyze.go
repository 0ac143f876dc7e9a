package inquiry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"pleat/planner"
	"pleat/spec"
)

// verdict is what one measurement says, or all of them.
type verdict string

const (
	pass         verdict = "pass"
	failed       verdict = "fail"
	inconclusive verdict = "inconclusive"
)

// VerdictError is an analysis that did not pass.
type VerdictError struct {
	Analysis     string
	Verdict      string   // "fail", "inconclusive"
	Measurements []string // what each one that did not pass was
	Of           int      // measurements that were made
}

// Error says what came of it, and why at last.
func (e *VerdictError) Error() string {
	return fmt.Sprintf("analysis.%s: %s: %d of %d measurements did not pass, the last one: %s",
		e.Analysis, e.Verdict, len(e.Measurements), e.Of, e.Measurements[len(e.Measurements)-1])
}

// Detail are all measurements that did not pass.
func (e *VerdictError) Detail() string { return strings.Join(e.Measurements, "\n") }

func (p *Provider) analyze(ctx context.Context, a *planner.Analyze, report func(planner.Report)) error {
	var failures, silent int
	var bad []string
	next := time.NewTimer(0)
	defer next.Stop()
	for n := 1; n <= a.Count; n++ {
		select {
		case <-next.C:
			next.Reset(a.Interval)
		case <-ctx.Done():
			return fmt.Errorf("analysis.%s: cancelled: %w", a.Analysis, ctx.Err())
		}
		says, why := p.measure(ctx, a)
		if ctx.Err() != nil {
			return fmt.Errorf("analysis.%s: cancelled: %w", a.Analysis, ctx.Err())
		}
		switch says {
		case failed:
			failures++
		case inconclusive:
			silent++
		}
		if says != pass {
			bad = append(bad, fmt.Sprintf("%d: %s: %s", n, says, p.options.Redact(why)))
		}
		report(planner.Progress{Done: int64(n), Total: int64(a.Count), Unit: "measurements"})
		if failures > a.Failures {
			return over(a, &VerdictError{a.Analysis, string(failed), bad, n}, report)
		}
		if silent > a.Inconclusive {
			return over(a, &VerdictError{a.Analysis, string(inconclusive), bad, n}, report)
		}
	}
	if failures+silent == a.Count { // each was tolerated, and nothing was ever well
		return over(a, &VerdictError{a.Analysis, string(inconclusive), bad, a.Count}, report)
	}
	return nil
}

// over ends an analysis that did not pass.
func over(a *planner.Analyze, err *VerdictError, report func(planner.Report)) error {
	if a.DryRun {
		report(planner.Warning{Text: err.Error() + " (dry run: it stops nothing)"})
		return nil
	}
	return err
}

// measure asks once, and judges.
func (p *Provider) measure(ctx context.Context, a *planner.Analyze) (verdict, string) {
	found, err := p.answer(ctx, a.Inquiry, about{service: a.Service, release: a.Release, old: a.Old})
	if err != nil {
		return inconclusive, err.Error()
	}
	if n, why := samples(found); n < float64(a.MinSamples) {
		return inconclusive, fmt.Sprintf("%s: %s, and %d are wanted", ErrNoData, why, a.MinSamples)
	}
	is := func(expression string) (bool, error) { return spec.Condition(expression, found.values) }
	if a.Fail != "" {
		switch bad, err := is(a.Fail); {
		case err != nil:
			return inconclusive, unanswered(err)
		case bad:
			return failed, a.Fail + ": " + p.seen(a.Fail, found)
		case a.Pass == "":
			return pass, ""
		}
	}
	switch good, err := is(a.Pass); {
	case err != nil:
		return inconclusive, unanswered(err)
	case good:
		return pass, ""
	case a.Fail == "":
		return failed, a.Pass + " is not so: " + p.seen(a.Pass, found)
	}
	return inconclusive, fmt.Sprintf("neither %s nor %s: %s", a.Pass, a.Fail, p.seen(a.Pass+" || "+a.Fail, found))
}

// samples is what an answer rests on, as it says itself.
func samples(a answer) (n float64, said string) {
	v, known := a.values["samples"]
	if !known || v.IsNull() || v.Type() != cty.Number {
		return 0, "the answer has no number samples"
	}
	n, _ = v.AsBigFloat().Float64()
	return n, v.AsBigFloat().Text('g', 6) + " samples"
}

// unanswered says of an expression about something that was not answered, such
// as old where there is none, that there is no data.
func unanswered(err error) string {
	return fmt.Sprintf("%s: %s", ErrNoData, err)
}
