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
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	// AccessLog is a file to which the router writes a line for each request,
	// behind what is in it; "" for none.
	AccessLog string
	// Successor is the command of another program that runs as this agent does;
	// nil: it hands over to none.
	Successor func(program string) *exec.Cmd
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
	in, err := inherit()
	if err != nil {
		return err
	}
	held, err := c.lock(ctx, in)
	if err != nil {
		return fmt.Errorf("agent directory %s: %w", c.Dir, err)
	}
	return c.run(ctx, in, held)
}

// sign writes into the lock whose it is, for people.
func sign(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func (c Config) lock(ctx context.Context, in *inheritance) (*os.File, error) {
	if in != nil && len(in.locks) > 0 {
		return in.locks[0], nil
	}
	return lock(ctx, filepath.Join(c.Dir, "lock"))
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

func (c Config) run(ctx context.Context, in *inheritance, held *os.File) error {
	door, err := c.listen(ctx, in)
	if err != nil {
		return errors.Join(err, held.Close())
	}
	s, err := c.open(in)
	if err != nil {
		return errors.Join(err, door.Close(), door.unlock(), held.Close())
	}
	s.door, s.held = door, held
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var routing, leaving sync.WaitGroup
	routing.Go(func() { s.router.Run(working) })
	leaving.Go(func() {
		select {
		case <-working.Done():
		case <-s.moved:
			s.leave(ctx)
		}
	})
	s.keep(working)
	c.Log.Info("agent is ready", "host", c.Name, "listen", c.Listen, "dir", c.Dir, "pid", os.Getpid())
	err = sign(held)
	if in != nil {
		err = errors.Join(err, in.tell())
	}
	err = errors.Join(err, notify(), s.serve(ctx))
	if s.gone() {
		leaving.Wait()
		stop()
		routing.Wait()
		return err
	}
	// Callers first: they need the workers to finish.
	stop()
	leaving.Wait()
	routing.Wait()
	return errors.Join(err, s.rest(), door.unlock(), held.Close())
}

// open reads everything that the agent before left.
func (c Config) open(in *inheritance) (*server, error) {
	id, err := identity(filepath.Join(c.Dir, "id.json"))
	if err != nil {
		return nil, err
	}
	artifacts, err := artifact.Open(filepath.Join(c.Dir, "artifacts"))
	if err != nil {
		return nil, err
	}
	var sockets map[string]net.Listener
	var before <-chan struct{}
	program := ""
	if in != nil {
		sockets, before, program = in.routes, in.before, in.program
	}
	routes, err := router.Succeed(c.Dir, c.Name, c.Log, sockets, before)
	if err != nil {
		return nil, err
	}
	access, err := c.accessLog()
	if err != nil {
		return nil, errors.Join(err, routes.Close())
	}
	if access != nil {
		routes.LogAccess(access)
	}
	s := &server{
		config: c, id: id, host: c.Name, token: c.token(), program: program, log: c.Log,
		artifacts: artifacts, router: routes, moved: make(chan struct{}),
	}
	if err := s.recall(); err != nil {
		return nil, errors.Join(err, routes.Close())
	}
	return s, nil
}

// memory is what only one agent at a time may have open: it is written to.
type memory struct {
	events     *eventlog.Log
	fences     *fences
	supervisor *supervisor.Supervisor
	stop       context.CancelFunc // ends the supervisor; nil before it began
	ended      chan struct{}      // closed then
}

// recall reads the agent's memory.
func (s *server) recall() error {
	c := s.config
	known, err := openFences(filepath.Join(c.Dir, "fences.json"))
	if err != nil {
		return err
	}
	events, err := eventlog.Open(filepath.Join(c.Dir, "events.ndjson"), keptEvents)
	if err != nil {
		return err
	}
	instances, err := supervisor.New(supervisor.Config{
		Host: c.Name, Dir: c.Dir, Address: c.Address, Artifacts: s.artifacts, Events: events,
		Backoff: c.Backoff, Changed: s.router.Health, Log: c.Log,
	})
	if err != nil {
		return errors.Join(err, events.Close())
	}
	s.current.Store(&memory{events: events, fences: known, supervisor: instances, ended: make(chan struct{})})
	return nil
}

// keep has the instances kept until rest.
func (s *server) keep(ctx context.Context) {
	m := s.memory()
	ctx, m.stop = context.WithCancel(ctx)
	go func() { // rest waits for it
		defer close(m.ended)
		m.supervisor.Run(ctx)
	}()
}

// rest leaves the instances alone: nothing is written any more when it returns.
func (s *server) rest() error {
	m := s.memory()
	m.stop()
	<-m.ended
	return m.events.Close()
}

// accessLog is nil where nobody wants one. It stays open: a line may come as long
// as there are requests.
func (c Config) accessLog() (io.Writer, error) {
	if c.AccessLog == "" {
		return nil, nil
	}
	f, err := os.OpenFile(c.AccessLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return f, nil
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
