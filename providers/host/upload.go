package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pleat/planner"
	"pleat/providers/host/fleet"
)

// upload brings the artifact to an agent that lacks it. A file that is not
// what the release was pinned to is refused before it is sent.
func (c *call) upload(ctx context.Context, m fleet.Member, a planner.Artifact) error {
	has, err := m.HasArtifact(ctx, a.SHA256)
	if err != nil || has {
		return err
	}
	f, err := os.Open(filepath.Join(c.options.Dir, a.Path))
	if err != nil {
		return fmt.Errorf("opening artifact: %w", err)
	}
	err = c.sendArtifact(ctx, m, a, f)
	return errors.Join(err, f.Close())
}

func (c *call) sendArtifact(ctx context.Context, m fleet.Member, a planner.Artifact, f *os.File) error {
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
	if err := m.PutArtifact(ctx, a.SHA256, io.NopCloser(f)); err != nil {
		return fmt.Errorf("uploading artifact %s to %s: %w", a.Path, m.Host, err)
	}
	return nil
}
