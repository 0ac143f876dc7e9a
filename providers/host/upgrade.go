package host

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pleat/providers/host/api"
)

// Upgrade has the agents of the orchestrator hand over to another version of
// themselves, one after the other, and tells each. What an agent keeps does not
// notice. The first that does not come to answer ends it: that agent and those
// after it stay as they are. open gives the program from its beginning.
func (p *Provider) Upgrade(ctx context.Context, sha256 string, open func() (io.ReadCloser, error), tell func(host string, u api.Upgraded)) error {
	members, err := p.fleet.Read(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.address, err)
	}
	for _, m := range members {
		has, err := m.HasArtifact(ctx, sha256)
		if err != nil {
			return fmt.Errorf("asking %s: %w", m.Host, err)
		}
		if !has {
			program, err := open()
			if err != nil {
				return err
			}
			err = m.PutArtifact(ctx, sha256, io.NopCloser(program))
			if err := errors.Join(err, program.Close()); err != nil {
				return fmt.Errorf("uploading to %s: %w", m.Host, err)
			}
		}
		u, err := m.Client.Upgrade(ctx, sha256)
		if err != nil {
			return fmt.Errorf("upgrading %s: %w", m.Host, err)
		}
		tell(m.Host, u)
	}
	return nil
}
