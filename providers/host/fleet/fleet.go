// Package fleet is all agents of one orchestrator seen as one: which host has
// what, and what changes. It owns no policy and keeps no state between calls.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"pleat/providers/host/api"
	"pleat/spec"
)

// Fleet is the agents of one orchestrator.
type Fleet struct{ clients []*api.Client }

// Member is one agent and what it knew when it was asked.
type Member struct {
	*api.Client
	api.State
}

// New makes the fleet of an orchestrator. dir is the spec's directory, in
// which the CA file is. It does not connect.
func New(o *spec.Orchestrator, dir string) (*Fleet, error) {
	f := &Fleet{}
	for _, agent := range o.Agents {
		c, err := Client(o, dir, agent)
		if err != nil {
			return nil, err
		}
		f.clients = append(f.clients, c)
	}
	return f, nil
}

// Client makes a client of one agent with the orchestrator's token and CA.
func Client(o *spec.Orchestrator, dir, agent string) (*api.Client, error) {
	options := api.Options{Token: o.Token.Reveal()}
	if o.CA != "" {
		pem, err := os.ReadFile(filepath.Join(dir, o.CA))
		if err != nil {
			return nil, fmt.Errorf("%s: reading the ca: %w", o.Address(), err)
		}
		options.CA = pem
	}
	c, err := api.NewClient(agent, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Address(), err)
	}
	return c, nil
}

// Clients are those of all agents, in the order of the spec.
func (f *Fleet) Clients() []*api.Client { return f.clients }

// Read asks all agents at once, and lists them by host. With an error the
// list has the agents that answered.
func (f *Fleet) Read(ctx context.Context) ([]Member, error) {
	members := make([]Member, len(f.clients))
	errs := make([]error, len(f.clients))
	var asking sync.WaitGroup
	for n, c := range f.clients {
		asking.Go(func() {
			state, err := c.State(ctx)
			members[n], errs[n] = Member{c, state}, err
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	members = slices.DeleteFunc(members, func(m Member) bool { return m.ID == "" })
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Host, b.Host) })
	return members, errors.Join(append(errs, twins(members))...)
}

func twins(members []Member) error {
	for n := 1; n < len(members); n++ {
		if a, b := members[n-1], members[n]; a.Host == b.Host {
			return fmt.Errorf("agents %s and %s both call their host %q; start one with another name", a.Agent(), b.Agent(), a.Host)
		}
	}
	return nil
}

// On gives the agent of a host.
func On(members []Member, host string) (Member, bool) {
	n := slices.IndexFunc(members, func(m Member) bool { return m.Host == host })
	if n < 0 {
		return Member{}, false
	}
	return members[n], true
}

// Find gives the instance as the agent saw it.
func (m Member) Find(r api.Ref) (api.Instance, bool) {
	n := slices.IndexFunc(m.Instances, func(i api.Instance) bool { return i.Ref == r })
	if n < 0 {
		return api.Instance{}, false
	}
	return m.Instances[n], true
}
