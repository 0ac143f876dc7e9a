package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

const (
	specFile = "users.pleat.hcl"
	change   = "split_name" // what the story is about
)

// copySpec makes dir what the example's directory was before the change, its
// programs included.
func copySpec(from, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		return err
	}
	programs, err := filepath.Glob(filepath.Join(from, "bin", "*"))
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := link(p, filepath.Join(dir, "bin", filepath.Base(p))); err != nil {
			return err
		}
	}
	source, err := os.ReadFile(filepath.Join(from, specFile))
	if err != nil {
		return err
	}
	before, err := without(source, change)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, specFile), before, 0o600)
}

// addChange makes the copy in dir what the example's spec is today, and gives
// the text of the change.
func addChange(from, dir string) (string, error) {
	source, err := os.ReadFile(filepath.Join(from, specFile))
	if err != nil {
		return "", err
	}
	text, err := blockOf(source, change)
	if err != nil {
		return "", err
	}
	return text, os.WriteFile(filepath.Join(dir, specFile), source, 0o600)
}

// link copies where the directories are on different file systems.
func link(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, syscall.EXDEV) && !errors.Is(err, syscall.EPERM) {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// without is a spec as it was before a change: neither the change is in it nor
// a release that was built for it.
func without(source []byte, change string) ([]byte, error) {
	f, err := parseSpec(source)
	if err != nil {
		return nil, err
	}
	for _, b := range f.Body().Blocks() {
		if isChange(b, change) {
			f.Body().RemoveBlock(b)
			continue
		}
		for _, inner := range b.Body().Blocks() {
			if bytes.Contains(inner.BuildTokens(nil).Bytes(), []byte("change."+change)) {
				b.Body().RemoveBlock(inner)
			}
		}
	}
	return hclwrite.Format(f.Bytes()), nil
}

// blockOf is the text of a change.
func blockOf(source []byte, change string) (string, error) {
	f, err := parseSpec(source)
	if err != nil {
		return "", err
	}
	for _, b := range f.Body().Blocks() {
		if isChange(b, change) {
			return string(b.BuildTokens(nil).Bytes()), nil
		}
	}
	return "", fmt.Errorf("%s has no change %s", specFile, change)
}

func isChange(b *hclwrite.Block, name string) bool {
	return b.Type() == "change" && len(b.Labels()) == 1 && b.Labels()[0] == name
}

func parseSpec(source []byte) (*hclwrite.File, error) {
	f, diags := hclwrite.ParseConfig(source, specFile, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	return f, nil
}
