package spec_test

import (
	"bytes"
	"os"
	"slices"
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
	formattedAlready(t, example)
}

// TestExampleOfMigrationsLoads loads it with what the first example declares.
func TestExampleOfMigrationsLoads(t *testing.T) {
	blocks := strings.Split(string(read(t, languagePath)), "```")
	i := slices.IndexFunc(blocks, func(b string) bool { return strings.HasPrefix(b, "hcl\nmigrations ") })
	if i < 0 {
		t.Fatal("there is no example")
	}
	first, example := strings.TrimPrefix(blocks[1], "hcl\n"), strings.TrimPrefix(blocks[i], "hcl\n")
	dir := directory(t, map[string]string{
		"a.pleat.hcl": first, "b.pleat.hcl": example,
		"db/migrations/1672749980_create_users.up.sql": "select 1;",
		"db/migrations/1681826233_add_email.up.sql":    "select 2;",
	})
	s, diags := spec.Load(dir, spec.Options{Vars: map[string]string{"database_url": sampleURL}})
	if len(diags) > 0 {
		t.Errorf("Load:\n%s", render(t, s.Sources, diags))
	}
	formattedAlready(t, example)
}

func formattedAlready(t *testing.T, example string) {
	t.Helper()
	formatted, diags := spec.Format([]byte(example), "a.pleat.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	compare(t, string(formatted), example)
}
