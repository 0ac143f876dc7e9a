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
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin/cluster-1", "bin/cluster-2"} {
		if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, diags := spec.Load(dir, spec.Options{Vars: map[string]string{"state_url": "postgres://localhost/state"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if c := s.Services[0].Clustered; c == nil || c.Name != "db" {
		t.Errorf("the cluster is %v", c)
	}
}
