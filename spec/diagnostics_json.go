package spec

import (
	"github.com/hashicorp/hcl/v2"
)

// JSONDiagnostic is a diagnostic for machines.
type JSONDiagnostic struct {
	Severity string      `json:"severity"` // "error" or "warning"
	Summary  string      `json:"summary"`
	Detail   string      `json:"detail,omitempty"`
	Place    *JSONPlace  `json:"place,omitempty"`
	Related  []JSONPlace `json:"related,omitempty"`
}

// JSONPlace is a range of a file. Lines and columns count from 1, columns in
// characters; the end is exclusive.
type JSONPlace struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`
	Source    string `json:"source,omitempty"` // the first line of the range
	Note      string `json:"note,omitempty"`
}

// DiagnosticsJSON are the same diagnostics that WriteDiagnostics writes, for
// encoding. It is never nil.
func DiagnosticsJSON(sources map[string][]byte, diags hcl.Diagnostics) []JSONDiagnostic {
	list := make([]JSONDiagnostic, 0, len(diags))
	for _, d := range diags {
		j := JSONDiagnostic{
			Severity: severityWord(d.Severity),
			Summary:  d.Summary,
			Detail:   d.Detail,
		}
		if d.Subject != nil && d.Subject.Filename != "" {
			place := jsonPlace(sources, *d.Subject, "")
			j.Place = &place
		}
		for _, p := range related(d) {
			j.Related = append(j.Related, jsonPlace(sources, p.Range, p.Note))
		}
		list = append(list, j)
	}
	return list
}

func jsonPlace(sources map[string][]byte, rng hcl.Range, note string) JSONPlace {
	p := JSONPlace{
		File: rng.Filename,
		Line: rng.Start.Line, Column: rng.Start.Column,
		EndLine: rng.End.Line, EndColumn: rng.End.Column,
		Note: note,
	}
	if x, ok := cut(sources[rng.Filename], rng); ok {
		p.Source = x.line
	}
	return p
}
