package spec

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays a spec file out in the canonical way. What it means stays the
// same, and formatting twice changes nothing more. A file whose syntax is
// wrong is not formatted.
func Format(src []byte, filename string) ([]byte, hcl.Diagnostics) {
	if _, diags := parse(filename, src); diags.HasErrors() {
		return nil, withoutContext(diags, detailOf)
	}
	// Some layouts settle only after several passes, because a line's place
	// depends on how its neighbours were laid out.
	for range maxPasses {
		formatted := hclwrite.Format(src)
		if bytes.Equal(formatted, src) {
			break
		}
		src = formatted
	}
	return src, nil
}

const maxPasses = 8

// FormattedFile is a spec file before and after formatting.
type FormattedFile struct {
	Name   string // relative to the directory
	Before []byte
	After  []byte
}

// Changed tells whether formatting makes a difference.
func (f FormattedFile) Changed() bool { return !bytes.Equal(f.Before, f.After) }

// Formatting is a directory's spec files, formatted; nothing is written yet.
type Formatting struct {
	Files []FormattedFile // by name; those with wrong syntax are missing
	// Sources are for rendering the diagnostics.
	Sources map[string][]byte
}

// FormatDir formats the spec files of a directory, and reports every file
// that cannot be.
func FormatDir(dir string) (Formatting, hcl.Diagnostics) {
	l := newLoader(dir, Options{})
	formatting := Formatting{Sources: l.spec.Sources}
	root, err := os.OpenRoot(dir)
	if err != nil {
		l.add(hcl.Range{}, "Unreadable directory", "%s: %s.", dir, fileReason(err))
		return formatting, l.sorted()
	}
	sources := l.sources(root)
	if err := root.Close(); err != nil {
		l.add(hcl.Range{}, "Unreadable directory", "%s: %s.", dir, err)
	}
	for _, name := range sortedKeys(sources) {
		after, diags := Format(sources[name], name)
		l.extend(diags)
		formatting.Sources[name] = blankedAll(name, sources[name])
		if !diags.HasErrors() {
			formatting.Files = append(formatting.Files, FormattedFile{Name: name, Before: sources[name], After: after})
		}
	}
	return formatting, l.sorted()
}

// Write replaces the file in dir by its formatted form, whole or not at all,
// and keeps its mode. It returns once the change is on disk.
func (f FormattedFile) Write(dir string) error {
	path, err := filepath.EvalSymlinks(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(path, f.After, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", f.Name, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing %s: %w", f.Name, err)
	}
	return nil
}

// syncDir makes a rename within dir last through a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// blankedAll is a file as messages about its syntax may quote it.
func blankedAll(name string, src []byte) []byte {
	return source{bytes: src, tokens: lex(name, src), broken: true}.blankSecrets()
}
