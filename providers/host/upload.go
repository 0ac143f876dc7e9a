package host

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pleat/planner"
	"pleat/providers/host/artifact"
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
	f, err := artifact.Pinned(p.options.Dir, a)
	if err != nil {
		return err
	}
	return f.Close()
}

// upload brings the artifact to an agent that lacks it. A file that is not
// what the release was pinned to is refused before it is sent.
func (c *call) upload(ctx context.Context, m fleet.Member, a planner.Artifact) error {
	has, err := m.HasArtifact(ctx, a.SHA256)
	if err != nil || has {
		return err
	}
	f, err := artifact.Pinned(c.options.Dir, a)
	if err != nil {
		return err
	}
	if err := m.PutArtifact(ctx, a.SHA256, io.NopCloser(f)); err != nil {
		return errors.Join(fmt.Errorf("uploading artifact %s to %s: %w", a.Path, m.Host, err), f.Close())
	}
	return f.Close()
}
