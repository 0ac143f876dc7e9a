package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestPlanFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("plan"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "plan", "piped": "pipe", "dangling": "gone"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	real, err := filepath.EvalSymlinks(at("plan"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ path, want, refused string }{
		{at("new"), at("new"), ""},
		{at("plan"), real, ""},
		{at("link"), real, ""},
		{at("pipe"), "", "is no plain file"},
		{at("piped"), "", "is no plain file"},
		{at("dangling"), "", "no such file"},
		{at("missing/new"), "", "missing: no such file"},
		{dir, "", "is a directory"},
		{"", "", "no name"},
	} {
		got, err := planFile(x.path)
		if x.refused == "" && (err != nil || got != x.want) || x.refused != "" && (err == nil || !strings.Contains(err.Error(), x.refused)) {
			t.Errorf("planFile(%q) = %q, %v; want %q, refused %q", x.path, got, err, x.want, x.refused)
		}
	}
}
