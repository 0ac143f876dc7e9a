package spec_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

func rendered(t *testing.T, src string, start, end int, options spec.RenderOptions) string {
	t.Helper()
	line := 1 + strings.Count(src[:start], "\n")
	diags := hcl.Diagnostics{{
		Severity: hcl.DiagError, Summary: "Wrong", Detail: "one two three four five six seven eight nine ten",
		Subject: &hcl.Range{Filename: "a", Start: hcl.Pos{Line: line, Column: 1, Byte: start}, End: hcl.Pos{Line: line, Column: 1, Byte: end}},
	}}
	var b strings.Builder
	if err := spec.WriteDiagnostics(&b, map[string][]byte{"a": []byte(src)}, diags, options); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRendering(t *testing.T) {
	detail := "\n  one two three four five six seven\n  eight nine ten\n"
	tests := []struct {
		name, src  string
		start, end int
		want       string
	}{
		{"in a line", "abc\ndef ghi\n", 8, 11, "Error: Wrong\n  a:2:1\n  2 | def ghi\n    |     ^^^\n"},
		{"empty range", "abc", 3, 3, "Error: Wrong\n  a:1:1\n  1 | abc\n    |    ^\n"},
		{"several lines", "a {\n}\n", 2, 5, "Error: Wrong\n  a:1:1\n  1 | a {\n    |   ^\n"},
		{"tabs", "\tabc", 1, 4, "Error: Wrong\n  a:1:1\n  1 |     abc\n    |     ^^^\n"},
		{"wide", "日本 x", 0, 6, "Error: Wrong\n  a:1:1\n  1 | 日本 x\n    | ^^^^\n"},
		{"combining", "e\u0301 x", 4, 5, "Error: Wrong\n  a:1:1\n  1 | e\u0301 x\n    |   ^\n"},
		{"right to left override", "a\u202eb", 0, 1, "Error: Wrong\n  a:1:1\n  1 | a\ufffdb\n    | ^\n"},
		{"far right", strings.Repeat("x", 60) + "yyy", 60, 63, "Error: Wrong\n  a:1:1\n  1 | …xxxxxxxxxxyyy\n    |            ^^^\n"},
		{"long mark", strings.Repeat("y", 90), 0, 90, "Error: Wrong\n  a:1:1\n  1 | " + strings.Repeat("y", 33) + "…\n    | " + strings.Repeat("^", 34) + "\n"},
		{"beyond the file", "abc", 2, 9, "Error: Wrong\n  a:1:1\n"},
		{"carriage return", "abc\r\n", 0, 3, "Error: Wrong\n  a:1:1\n  1 | abc\n    | ^^^\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			compare(t, test.want+detail, rendered(t, test.src, test.start, test.end, spec.RenderOptions{Width: 40}))
		})
	}
}

func TestColor(t *testing.T) {
	got := rendered(t, "abc", 0, 3, spec.RenderOptions{Color: true})
	want := "\x1b[31;1mError:\x1b[0m \x1b[1mWrong\x1b[0m\n  a:1:1\n  \x1b[2m1 |\x1b[0m abc\n  \x1b[2m  |\x1b[0m \x1b[31;1m^^^\x1b[0m\n\n  one two three four five six seven eight nine ten\n"
	compare(t, want, got)
}

func TestDiagnosticsJSON(t *testing.T) {
	dir := directory(t, map[string]string{"a.pleat.hcl": "change \"a\" {\n  expand {}\n  expand {}\n}\ndatabase \"main\" {\n  url = \"postgres://db/app\"\n}\n"})
	s, diags := spec.Load(dir, spec.Options{})
	compare(t, []spec.JSONDiagnostic{{
		Severity: "error", Summary: "Declared twice", Detail: "expand is already declared at a.pleat.hcl:2.",
		Place:   &spec.JSONPlace{File: "a.pleat.hcl", Line: 3, Column: 3, EndLine: 3, EndColumn: 9, Source: "  expand {}"},
		Related: []spec.JSONPlace{{File: "a.pleat.hcl", Line: 2, Column: 3, EndLine: 2, EndColumn: 9, Source: "  expand {}", Note: "first declared here"}},
	}}, spec.DiagnosticsJSON(s.Sources, diags))
	if got := spec.DiagnosticsJSON(nil, nil); got == nil || len(got) != 0 {
		t.Errorf("DiagnosticsJSON of nothing = %v, want an empty list", got)
	}
}
