// Package pgtest runs a throw-away PostgreSQL cluster for tests and for the
// demo. It owns the cluster's processes and files: both are gone once Stop
// returned, and also when the process that started them was killed. It knows
// nothing of pleat's schema.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Mode is how a server is stopped, in PostgreSQL's words.
type Mode string

// The ways to stop a server.
const (
	Fast      Mode = "fast"      // sessions are ended, everything is written
	Immediate Mode = "immediate" // as in a crash: the next start recovers
)

var signals = map[Mode]syscall.Signal{Fast: syscall.SIGINT, Immediate: syscall.SIGQUIT}

const (
	startTimeout  = 60 * time.Second
	portAttempts  = 5
	logTailLength = 4096
)

// Server is a PostgreSQL cluster. Its methods may be called from several
// goroutines, except Restart and Stop.
type Server struct {
	dir      string // everything of this cluster; "" for a server of somebody else's
	bin      string
	settings []string // that come after those of every cluster here
	base     *url.URL // superuser, database postgres
	postgres *process
	janitor  *janitor
}

// Start makes a cluster in a fresh directory below parent ("" is the system's
// directory for temporary files) and returns once it accepts connections. ctx
// bounds the start only; Stop ends the server, as does the end of this
// process, however it comes. Connections reach it on 127.0.0.1 and on a unix
// socket; user postgres needs no password, every other role does. It is set up to
// be quick and to lose everything with the machine; settings such as "fsync=on" come
// after that.
func Start(ctx context.Context, parent string, settings ...string) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	bin, err := Binaries()
	if err != nil {
		return nil, err
	}
	s, err := create(parent, bin)
	if err != nil {
		return nil, err
	}
	s.settings = settings
	if err := s.boot(ctx, s.initdb); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// create makes the directory and the janitor that removes it.
func create(parent, bin string) (*Server, error) {
	dir, err := os.MkdirTemp(parent, "pleat-pg-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for postgres: %w", err)
	}
	s := &Server{dir: dir, bin: bin}
	if err := own(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if s.janitor, err = watch(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// boot starts the server once its files are there.
func (s *Server) boot(ctx context.Context, files func(context.Context) error) error {
	if err := files(ctx); err != nil {
		return err
	}
	var err error
	for range portAttempts {
		if err = s.choosePort(); err != nil {
			return err
		}
		if err = s.launch(ctx); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) initdb(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--no-sync",
		"--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
	demote(cmd, s.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running initdb: %w\n%s", err, out)
	}
	const access = `local all postgres trust
host all,replication postgres 127.0.0.1/32 trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
`
	return os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(access), 0o600)
}

// choosePort takes a free port. Somebody else may get it before postgres
// does, which is why boot tries again.
func (s *Server) choosePort() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("choosing a port: %w", err)
	}
	s.base = &url.URL{
		Scheme: "postgres", User: url.User("postgres"), Host: l.Addr().String(),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return l.Close()
}

// launch starts postgres on the chosen port and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	settings := []string{
		"listen_addresses=127.0.0.1", "port=" + s.base.Port(), "unix_socket_directories=" + s.dir,
		"fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB",
		"log_line_prefix=%m [%p] %a ", "timezone=UTC", "log_timezone=UTC",
		"password_encryption=scram-sha-256", // PostgreSQL 13 would take md5, which access refuses
	}
	args := []string{"-D", s.data()}
	for _, setting := range append(settings, s.settings...) {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	demote(cmd, s.dir)
	p, err := run(cmd, s.logFile())
	if err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	s.postgres = p
	if err := s.awaitReady(ctx); err != nil {
		return errors.Join(fmt.Errorf("starting postgres: %w\n%s", err, s.logTail()), p.stop(syscall.SIGQUIT))
	}
	return nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := pgx.Connect(ctx, s.base.String())
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-s.postgres.exited:
			return fmt.Errorf("it ended: %w", s.postgres.err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Stop ends the server at once and removes its files. A second call does
// nothing.
func (s *Server) Stop() error {
	if s.janitor == nil {
		return nil
	}
	var err error
	if s.postgres != nil {
		err = s.postgres.stop(syscall.SIGQUIT)
	}
	err = errors.Join(err, os.RemoveAll(s.dir), s.janitor.dismiss())
	s.postgres, s.janitor = nil, nil
	return err
}

// URL is where the superuser reaches a database of the server.
func (s *Server) URL(database string) string {
	u := *s.base
	u.Path = "/" + database
	return u.String()
}

// Address is the server's host:port.
func (s *Server) Address() string { return s.base.Host }

// Socket is the directory of the server's unix socket; "" for a server that
// PLEAT_TEST_POSTGRES names.
func (s *Server) Socket() string { return s.dir }

// PID is the process id of the postmaster.
func (s *Server) PID() int { return s.postgres.pid() }

// Log is what the server logged so far; "" for a server that
// PLEAT_TEST_POSTGRES names.
func (s *Server) Log() (string, error) {
	if s.dir == "" {
		return "", nil
	}
	b, err := os.ReadFile(s.logFile())
	return string(b), err
}

func (s *Server) logTail() string {
	log, err := s.Log()
	if err != nil {
		return err.Error()
	}
	return log[max(0, len(log)-logTailLength):]
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }
