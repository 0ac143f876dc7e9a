package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pleat/planner"
)

// Pinned opens the file of an artifact, relative to dir, at its beginning. One
// that is not what the release was pinned to is refused.
func Pinned(dir string, a planner.Artifact) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, a.Path))
	if err != nil {
		return nil, fmt.Errorf("opening artifact: %w", err)
	}
	if err := pinned(f, a); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func pinned(f *os.File, a planner.Artifact) error {
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("reading artifact: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("artifact %s has sha256 %s, but the release is pinned to %s", a.Path, got, a.SHA256)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading artifact: %w", err)
	}
	return nil
}
