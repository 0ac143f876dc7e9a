package spec_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/spec"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const untidy = "service   \"users\" {\n\n\n release=\"1\"\n    process \"web\" {\n  count=3\n command = [\"a\",\n\"b\"]\n}\n}\n"

func TestFormat(t *testing.T) {
	got, diags := spec.Format([]byte(untidy), "a.pleat.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := "service \"users\" {\n\n\n  release = \"1\"\n  process \"web\" {\n    count = 3\n    command = [\"a\",\n    \"b\"]\n  }\n}\n"
	if string(got) != want {
		t.Errorf("Format:\n%s\nwant:\n%s", got, want)
	}
}

func TestFormatTwiceChangesNothing(t *testing.T) {
	sources, err := filepath.Glob("testdata/sample/*/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		once, diags := spec.Format(read(t, path), path)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		twice, diags := spec.Format(once, path)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if d := cmp.Diff(string(once), string(twice)); d != "" {
			t.Errorf("%s:\n%s", path, d)
		}
	}
}

func TestFormatKeepsTheMeaning(t *testing.T) {
	options := spec.Options{Vars: map[string]string{"database_url": sampleURL}}
	src := read(t, "testdata/sample/supported/sample.pleat.hcl")
	formatted, diags := spec.Format(src, "a.pleat.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	before := loadDir(t, directory(t, map[string]string{"a.pleat.hcl": string(src)}), options)
	after := loadDir(t, directory(t, map[string]string{"a.pleat.hcl": string(formatted)}), options)
	compareSpecs(t, before, after)
}

func TestFormatDir(t *testing.T) {
	dir := directory(t, map[string]string{
		"b.pleat.hcl":      untidy,
		"a.pleat.hcl":      "change \"a\" {\n  expand {}\n}\n",
		"broken.pleat.hcl": "change \"a\" {\n",
		"notes.hcl":        untidy,
	})
	formatting, diags := spec.FormatDir(dir)
	if len(diags) != 1 || diags[0].Subject.Filename != "broken.pleat.hcl" {
		t.Errorf("diagnostics:\n%s", render(t, formatting.Sources, diags))
	}
	changed := map[string]bool{}
	for _, f := range formatting.Files {
		changed[f.Name] = f.Changed()
	}
	compare(t, map[string]bool{"a.pleat.hcl": false, "b.pleat.hcl": true}, changed)
}

func TestWriteReplacesTheFile(t *testing.T) {
	dir := directory(t, map[string]string{"a.pleat.hcl": untidy})
	path := filepath.Join(dir, "a.pleat.hcl")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	formatting, diags := spec.FormatDir(dir)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if err := formatting.Files[0].Write(dir); err != nil {
		t.Fatal(err)
	}
	compare(t, string(formatting.Files[0].After), string(read(t, path)))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode = %v, want 0640", info.Mode())
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
}

func TestWriteKeepsTheFileWhenItCannot(t *testing.T) {
	dir := directory(t, map[string]string{"a.pleat.hcl": untidy})
	f := spec.FormattedFile{Name: "missing.pleat.hcl", After: []byte("x")}
	if err := f.Write(dir); err == nil {
		t.Error("Write of a file that is gone reports nothing")
	}
}
