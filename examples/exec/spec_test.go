package main

import (
	"os"
	"path/filepath"
	"testing"

	"pleat/spec"
)

// TestSpec loads the spec of this directory, with empty files as artifacts.
func TestSpec(t *testing.T) {
	dir := t.TempDir()
	source, err := os.ReadFile("exec.pleat.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"exec.pleat.hcl": source, "bin/hello-1": nil, "bin/hello-2": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, diags := spec.Load(dir, spec.Options{Vars: map[string]string{"state_url": "postgres://localhost/state"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if p := s.Orchestrators[0].Program; p == nil || p.Settings["dir"].Reveal() != "/tmp/pleat-exec" {
		t.Errorf("the program is %+v", p)
	}
}
