package hazard_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"pleat/migrations/hazard"
)

var update = flag.Bool("update", false, "write the document anew")

const document = "../../docs/hazards.md"

// docs/hazards.md is what the codes say of themselves.
func TestDocument(t *testing.T) {
	want := documentText()
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the codes say; write it anew: go test ./migrations/hazard -run TestDocument -update", document)
	}
}

const introduction = `# Hazards

Everything that pleat names by a code, with what it means, why it is a danger and
what to do instead. Codes never change. ` + "`pleat explain CODE`" + ` says what stands here.

A **hazard** stops an apply until it is allowed by name. An **obstacle** cannot be
allowed: a step would fail, so nothing begins before it is out of the way. **Advice**
is said by ` + "`pleat lint`" + ` alone; what is *optional* only when it is asked for:
` + "`--rules CODE`" + `.

This file is generated from the codes.
`

// parts are the tables of the document.
var parts = []struct {
	found hazard.Subject
	text  string
}{
	{hazard.InSQL, "pleat reads `sql` blocks and migration files with PostgreSQL's own grammar.\n`pleat lint` reports these codes for any `.sql` file."},
	{hazard.InStep, "Said of steps of a plan, whoever wrote their SQL."},
	{hazard.InCircumstance, "What surrounds the tables of a plan. `apply` looks for it before its first step and\nrefuses (exit 6) all of it at once; a plan has it as notes."},
}

func documentText() string {
	var b strings.Builder
	b.WriteString(introduction)
	for _, p := range parts {
		fmt.Fprintf(&b, "\n%s\n\n| code | | what |\n|---|---|---|\n", p.text)
		for _, d := range hazard.Codes() {
			if d.Found == p.found {
				fmt.Fprintf(&b, "| [%[1]s](#%[1]s) | %s | %s |\n", d.Code, kindOf(d), d.Title)
			}
		}
	}
	for _, d := range hazard.Codes() {
		fmt.Fprintf(&b, "\n## %s\n\n%s: %s.\n\n%s\n\nInstead: %s\n\nAllowed: %s.\n\nPostgreSQL's manual: %s.", d.Code, kindOf(d), d.Title, d.Explain, d.Safe, d.Allow, d.Manual)
		for _, other := range []struct {
			name  string
			rules []string
		}{{"squawk", d.Squawk}, {"strong_migrations", d.Strong}} {
			if len(other.rules) > 0 {
				fmt.Fprintf(&b, " In %s: %s.", other.name, strings.Join(other.rules, ", "))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func kindOf(d hazard.Doc) string {
	if d.Optional {
		return string(d.Severity) + ", optional"
	}
	return string(d.Severity)
}
