package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"pleat/planner"
)

// Observe reads what all agents have. One that does not answer is an error
// that names it, and what the others have comes with it.
func (p *Provider) Observe(ctx context.Context) (*planner.Orchestrator, error) {
	members, err := p.fleet.Read(ctx)
	if err != nil {
		err = fmt.Errorf("reading %s: %w", p.address, err)
	}
	out := &planner.Orchestrator{}
	var ids []string
	for _, m := range members {
		ids = append(ids, m.ID)
		out.Hosts = append(out.Hosts, m.Host)
		for _, i := range m.Instances {
			seen := planner.Instance{
				Service: i.Service, Release: i.Release, Process: i.Process, Name: i.Instance,
				Host: i.Host, Digest: i.SHA256, State: i.State, Role: planner.Role(i.Role), Address: i.Address,
			}
			if i.Shaky {
				seen.Restarts, seen.Ended = i.Restarts, i.Ended
			}
			out.Instances = append(out.Instances, seen)
		}
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	out.Identity = hex.EncodeToString(sum[:])[:32]
	return out, err
}
