package spec

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// Related are other places that a diagnostic speaks of, such as the first of
// two declarations. It is the Extra of the diagnostics that have some.
type Related []Place

// Place is a range and what is there.
type Place struct {
	Range hcl.Range
	Note  string
}

// problems collects diagnostics.
type problems struct {
	list hcl.Diagnostics
	// refused are blocks that could not be used, by type and by reference:
	// what refers to them is not reported again.
	refused map[string]bool
}

func newProblems() *problems { return &problems{refused: map[string]bool{}} }

// add records an error at rng.
func (p *problems) add(rng hcl.Range, summary, format string, args ...any) {
	p.addRelated(rng, nil, summary, format, args...)
}

// addRelated is add with other places to show.
func (p *problems) addRelated(rng hcl.Range, places Related, summary, format string, args ...any) {
	p.record(hcl.DiagError, rng, places, summary, format, args...)
}

// warn records what is not wrong, but may not be meant.
func (p *problems) warn(rng hcl.Range, places Related, summary, format string, args ...any) {
	p.record(hcl.DiagWarning, rng, places, summary, format, args...)
}

func (p *problems) record(severity hcl.DiagnosticSeverity, rng hcl.Range, places Related, summary, format string, args ...any) {
	d := &hcl.Diagnostic{
		Severity: severity,
		Summary:  summary,
		Detail:   fmt.Sprintf(format, args...),
		Subject:  &rng,
	}
	if len(places) > 0 {
		d.Extra = places
	}
	p.list = append(p.list, d)
}

func (p *problems) extend(diags hcl.Diagnostics) { p.list = append(p.list, diags...) }

// sorted is what was collected, by place, each once.
func (p *problems) sorted() hcl.Diagnostics {
	list := slices.Clone(p.list)
	slices.SortStableFunc(list, compareDiagnostics)
	return slices.CompactFunc(list, func(a, b *hcl.Diagnostic) bool { return compareDiagnostics(a, b) == 0 })
}

func compareDiagnostics(a, b *hcl.Diagnostic) int {
	return cmp.Or(comparePlaces(a, b), cmp.Compare(a.Summary, b.Summary), cmp.Compare(a.Detail, b.Detail))
}

func comparePlaces(a, b *hcl.Diagnostic) int {
	x, y := subject(a), subject(b)
	return cmp.Or(
		cmp.Compare(x.Filename, y.Filename),
		cmp.Compare(x.Start.Byte, y.Start.Byte),
		cmp.Compare(x.End.Byte, y.End.Byte),
	)
}

// SortByPlace brings diagnostics into the order of the files: those without a
// place first, and those of one place as they were.
func SortByPlace(diags hcl.Diagnostics) { slices.SortStableFunc(diags, comparePlaces) }

func subject(d *hcl.Diagnostic) hcl.Range {
	if d.Subject == nil {
		return hcl.Range{}
	}
	return *d.Subject
}
