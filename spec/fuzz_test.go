package spec_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/rogpeppe/go-internal/txtar"

	"pleat/spec"
)

// FuzzLoad loads any bytes. Whatever is wrong with them lies within the file,
// and formatting what has no errors changes nothing about that.
func FuzzLoad(f *testing.F) {
	seed(f)
	dir := f.TempDir()
	for name, content := range deployedFiles() {
		write(f, filepath.Join(dir, name), content)
	}
	path := filepath.Join(dir, "main.pleat.hcl")
	f.Fuzz(func(t *testing.T, src []byte) {
		if err := os.WriteFile(path, src, 0o600); err != nil {
			t.Fatal(err)
		}
		s, diags := spec.Load(dir, spec.Options{Vars: map[string]string{}})
		inside(t, diags, len(src))
		render(t, s.Sources, diags)
		formatted, wrong := spec.Format(src, "main.pleat.hcl")
		inside(t, wrong, len(src))
		if diags.HasErrors() {
			return
		}
		if err := os.WriteFile(path, formatted, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, diags := spec.Load(dir, spec.Options{}); diags.HasErrors() {
			t.Errorf("formatted, it is wrong:\n%s", render(t, s.Sources, diags))
		}
	})
}

func seed(f *testing.F) {
	f.Helper()
	paths, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		for _, file := range txtar.Parse(read(f, path)).Files {
			if file.Name != "want" {
				f.Add(file.Data)
			}
		}
	}
	f.Add(read(f, "testdata/sample/full/sample.pleat.hcl"))
	f.Add(read(f, "testdata/sample/supported/sample.pleat.hcl"))
	f.Add([]byte(deployed))
	f.Add([]byte("\xff\x00\xfe"))
}

func inside(t *testing.T, diags hcl.Diagnostics, size int) {
	t.Helper()
	for _, d := range diags {
		if d.Subject == nil || d.Subject.Filename == "" {
			continue
		}
		if d.Subject.Start.Byte < 0 || d.Subject.End.Byte > size || d.Subject.Start.Byte > d.Subject.End.Byte {
			t.Errorf("%s: %s lies outside of a file of %d bytes", d.Subject, d.Summary, size)
		}
	}
}
