package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"pleat/providers/postgres/pgtest"
)

// stage is everything that the demo runs on, and nothing that was there
// before.
type stage struct {
	dir      string
	postgres *pgtest.Server
	janitor  *janitor
	agent    string // as the spec names it
	listen   string // where the service answers
}

// set starts Postgres and the agent. After an error nothing is left.
func set(ctx context.Context, o options, out talk) (*stage, error) {
	dir, err := os.MkdirTemp("", "pleat-demo-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, agent: "unix://" + filepath.Join(dir, "agent.sock")}
	if s.janitor, err = hire(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.start(ctx, o, out); err != nil {
		return nil, errors.Join(err, s.clear())
	}
	return s, nil
}

func (s *stage) start(ctx context.Context, o options, out talk) (err error) {
	if s.postgres, err = pgtest.Start(ctx, ""); err != nil {
		return err
	}
	if s.listen, err = freePort(); err != nil {
		return err
	}
	out.line("Postgres answers on %s.", s.postgres.Address())
	agent := []string{"agent", "--listen", s.agent, "--state", filepath.Join(s.dir, "agent"), "--name", "demo"}
	out.command(append([]string{"pleat"}, agent...)...)
	return s.startAgent(ctx, o.pleat, agent)
}

// freePort is an address that nobody listens on. The service's router takes
// it later, so somebody else could be faster; the apply would then say so.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("choosing a port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// startAgent returns once the agent accepts connections. The agent belongs to
// the janitor from then on.
func (s *stage) startAgent(ctx context.Context, pleat string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	log := filepath.Join(s.dir, "agent.log")
	ended, err := background(pleat, args, log)
	if err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("unix", filepath.Join(s.dir, "agent.sock"))
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-ended:
			return fmt.Errorf("the agent ended: %s", tail(log))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the agent: %w; it says: %s", ctx.Err(), tail(log))
		}
	}
}

// clear ends every process of the stage and removes its files.
func (s *stage) clear() error {
	err := s.janitor.dismiss()
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Stop())
	}
	return err
}

// tail is the end of a log, for an error.
func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
