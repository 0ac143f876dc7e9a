package spec_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"pleat/spec"
)

// TestBroken loads specs that are wrong and compares what is said about them.
// Each archive holds the files, values of variables in "vars", and the
// diagnostics in "want".
func TestBroken(t *testing.T) {
	paths, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			broken(t, path)
		})
	}
}

func broken(t *testing.T, path string) {
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archive := txtar.Parse(was)
	files, vars := unpack(archive)
	s, diags := spec.Load(directory(t, files), spec.Options{Vars: vars})
	if !diags.HasErrors() {
		t.Error("Load reports nothing")
	}
	for _, d := range diags {
		d.Detail = strings.ReplaceAll(d.Detail, s.Dir, "DIR") // before lines are broken
	}
	text := render(t, s.Sources, diags)
	if strings.Contains(text, canary) {
		t.Errorf("a secret is shown:\n%s", text)
	}
	encoded, err := json.Marshal(spec.DiagnosticsJSON(s.Sources, diags))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(encoded), canary) {
		t.Errorf("a secret is shown as JSON:\n%s", encoded)
	}
	golden(t, path, was, txtar.Format(withWant(archive, text)))
}

// unpack splits an archive into the spec's files and values of variables.
func unpack(a *txtar.Archive) (files, vars map[string]string) {
	files, vars = map[string]string{}, map[string]string{}
	for _, f := range a.Files {
		switch f.Name {
		case "want":
		case "vars":
			for line := range strings.Lines(string(f.Data)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				vars[name] = value
			}
		default:
			files[f.Name] = string(f.Data)
		}
	}
	return files, vars
}

func withWant(a *txtar.Archive, text string) *txtar.Archive {
	b := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		if f.Name != "want" {
			b.Files = append(b.Files, f)
		}
	}
	b.Files = append(b.Files, txtar.File{Name: "want", Data: []byte(text)})
	return b
}
