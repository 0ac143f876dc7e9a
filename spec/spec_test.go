package spec_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/rogpeppe/go-internal/diff"

	"pleat/spec"
)

var update = flag.Bool("update", false, "rewrite golden files")

// canary stands in every secret of the test specs.
const canary = "CANARY"

// directory writes files into a new directory.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// load loads one file that must be right.
func load(t *testing.T, src string) *spec.Spec {
	t.Helper()
	return loadDir(t, directory(t, map[string]string{"main.pleat.hcl": src}), spec.Options{})
}

func loadDir(t *testing.T, dir string, options spec.Options) *spec.Spec {
	t.Helper()
	s, diags := spec.Load(dir, options)
	if diags.HasErrors() {
		t.Fatalf("Load:\n%s", render(t, s.Sources, diags))
	}
	return s
}

func render(t testing.TB, sources map[string][]byte, diags hcl.Diagnostics) string {
	t.Helper()
	var b strings.Builder
	if err := spec.WriteDiagnostics(&b, sources, diags, spec.RenderOptions{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares got with a file, or rewrites it under -update.
func golden(t *testing.T, path string, want, got []byte) {
	t.Helper()
	if bytes.Equal(want, got) {
		return
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s", diff.Diff(path, want, "got", got))
}
