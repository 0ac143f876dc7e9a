// Package agent is what runs on each host: it keeps instances running, routes
// requests to them, and does what its API is told. It owns its directory, its
// listening address and the wiring; the work is done by supervisor and router.
package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pleat/providers/host/artifact"
	"pleat/providers/host/disk"
	"pleat/providers/host/eventlog"
	"pleat/providers/host/supervisor"
	"pleat/providers/proxy/router"
)

// keptEvents is how many events can be asked for again.
const keptEvents = 10_000

// Config is how one agent runs.
type Config struct {
	Name    string // of the host, as instances and plans show it; default: the machine's
	Dir     string // holds everything that must survive a restart; made if only itself is missing
	Listen  string // "unix:///path" or "https://host:port"
	Address string // on which instances listen, and the router reaches them; default 127.0.0.1
	Cert    string // PEM file; https only
	Key     string // PEM file; https only
	Token   string // that callers must show; https only
	// Backoff is how long an instance that was up and died rests before its
	// next start; default supervisor.Backoff.
	Backoff func(restarts int) time.Duration
	Log     *slog.Logger // default: none
}

// Run is an agent. It returns nil once ctx has ended and requests under way
// are answered; the instances run on, and the next agent on the same Dir takes
// them up again. There is at most one agent on a Dir, and at most one on a
// socket: a second one is refused within seconds.
func Run(ctx context.Context, c Config) error {
	c, err := c.complete()
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(c.Dir, "lock"))
	if err != nil {
		return fmt.Errorf("agent directory %s: %w", c.Dir, err)
	}
	err = c.run(ctx)
	return errors.Join(err, unlock())
}

func (c Config) complete() (Config, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Backoff == nil {
		c.Backoff = supervisor.Backoff
	}
	if c.Address == "" {
		c.Address = "127.0.0.1"
	}
	ip := net.ParseIP(c.Address)
	if ip == nil || ip.IsUnspecified() {
		return c, fmt.Errorf("address %q: want one IP address of this host, that the router can reach", c.Address)
	}
	if c.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("finding the host's name: %w", err)
		}
		c.Name = name
	}
	return c, c.makeDir()
}

func (c *Config) makeDir() error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return fmt.Errorf("agent directory %s: %w", c.Dir, err)
	}
	c.Dir = dir
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("agent directory %s: %w", dir, cause(err))
	}
	return nil
}

// cause leaves out the path, which is named already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (c Config) run(ctx context.Context) error {
	listener, unlisten, err := c.listen(ctx)
	if err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return errors.Join(err, listener.Close(), unlisten())
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { s.supervisor.Run(working) })
	work.Go(func() { s.router.Run(working) })
	c.Log.Info("agent is ready", "host", c.Name, "listen", c.Listen, "dir", c.Dir)
	err = s.serve(ctx, listener)
	// Callers first: they need the workers to finish.
	stop()
	work.Wait()
	return errors.Join(err, s.events.Close(), unlisten())
}

// open reads everything that the agent before left.
func (c Config) open() (*server, error) {
	id, err := identity(filepath.Join(c.Dir, "id.json"))
	if err != nil {
		return nil, err
	}
	known, err := openFences(filepath.Join(c.Dir, "fences.json"))
	if err != nil {
		return nil, err
	}
	artifacts, err := artifact.Open(filepath.Join(c.Dir, "artifacts"))
	if err != nil {
		return nil, err
	}
	events, err := eventlog.Open(filepath.Join(c.Dir, "events.ndjson"), keptEvents)
	if err != nil {
		return nil, err
	}
	routes, err := router.New(c.Dir, c.Name, c.Log)
	if err != nil {
		return nil, errors.Join(err, events.Close())
	}
	instances, err := supervisor.New(supervisor.Config{
		Host: c.Name, Dir: c.Dir, Address: c.Address, Artifacts: artifacts, Events: events,
		Backoff: c.Backoff, Changed: routes.Health, Log: c.Log,
	})
	if err != nil {
		return nil, errors.Join(err, routes.Close(), events.Close())
	}
	return &server{
		id: id, host: c.Name, token: c.token(), log: c.Log,
		artifacts: artifacts, events: events, fences: known, router: routes, supervisor: instances,
	}, nil
}

// identity is a name for the directory that no other one has, made once.
func identity(path string) (string, error) {
	var id string
	err := disk.ReadJSON(path, &id)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	b := make([]byte, 16)
	rand.Read(b)
	id = hex.EncodeToString(b)
	return id, disk.WriteJSON(path, id)
}
