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

// Ready tells, before anything is done, whether a host can start an artifact:
// its agent has it, or the file beside the spec is the one that the release is
// pinned to. It changes nothing.
func (p *Provider) Ready(ctx context.Context, host string, a planner.Artifact) error {
	members, missing := p.fleet.Read(ctx)
	m, ok := fleet.On(members, host)
	if !ok {
		return absent(host, missing)
	}
	has, err := m.HasArtifact(ctx, a.SHA256)
	if err != nil || has {
		return err
	}
	f, err := p.openArtifact(a)
	if err != nil {
		return err
	}
	return f.Close()
}

// openArtifact opens the file of an artifact at its beginning. One that is not
// what the release was pinned to is refused.
func (p *Provider) openArtifact(a planner.Artifact) (*os.File, error) {
	f, err := os.Open(filepath.Join(p.options.Dir, a.Path))
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

// upload brings the artifact to an agent that lacks it. A file that is not
// what the release was pinned to is refused before it is sent.
func (c *call) upload(ctx context.Context, m fleet.Member, a planner.Artifact) error {
	has, err := m.HasArtifact(ctx, a.SHA256)
	if err != nil || has {
		return err
	}
	f, err := c.openArtifact(a)
	if err != nil {
		return err
	}
	if err := m.PutArtifact(ctx, a.SHA256, io.NopCloser(f)); err != nil {
		return errors.Join(fmt.Errorf("uploading artifact %s to %s: %w", a.Path, m.Host, err), f.Close())
	}
	return f.Close()
}
