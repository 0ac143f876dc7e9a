package spec_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"pleat/spec"
)

const languagePath = "../docs/language.md"

func TestReferenceIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	if err := spec.WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(languagePath)
	if err != nil && !*update {
		t.Fatal(err)
	}
	golden(t, languagePath, was, b.Bytes())
}

// TestExampleOfTheReferenceLoads loads the first block of HCL in the
// documentation as it stands.
func TestExampleOfTheReferenceLoads(t *testing.T) {
	_, rest, ok := strings.Cut(string(read(t, languagePath)), "```hcl\n")
	example, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("there is no example")
	}
	dir := directory(t, map[string]string{"a.pleat.hcl": example})
	loadDir(t, dir, spec.Options{Vars: map[string]string{"database_url": sampleURL}})
	formatted, diags := spec.Format([]byte(example), "a.pleat.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	compare(t, string(formatted), example)
}
