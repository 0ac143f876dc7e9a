package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errHeld is a lock that somebody else holds.
var errHeld = errors.New("another agent runs on it")

const (
	// forkTime is how long a lock may be held by nobody: a process that a
	// killed agent was forking has its files open until it execs.
	forkTime = 2 * time.Second
	// lockPause is between two attempts.
	lockPause = 20 * time.Millisecond
)

// lock takes the file for as long as the process lives. The file stays: to
// remove a lock file is a race with whoever opened it just before.
func lock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, cause(err)
	}
	giveUp := time.After(forkTime)
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-giveUp:
			return nil, errors.Join(errHeld, f.Close())
		case <-time.After(lockPause):
		}
	}
}

// entrance is where the API is asked for.
type entrance struct {
	socket net.Listener // as the kernel has it
	net.Listener
	lock *os.File // beside a Unix socket; held until the end
}

// listen opens the API's address, or goes on with what was inherited.
func (c Config) listen(ctx context.Context, in *inheritance) (*entrance, error) {
	u, err := url.Parse(c.Listen)
	if err != nil { // such as 10.0.0.5:7443
		u = &url.URL{}
	}
	e := &entrance{}
	if in != nil {
		e.socket = in.api
		if len(in.locks) > 1 {
			e.lock = in.locks[1]
		}
	}
	switch {
	case u.Scheme == "unix" && u.Path != "":
		if in == nil {
			e.socket, e.lock, err = listenSocket(ctx, u.Path)
		}
		e.Listener = e.socket
		return e, err
	case u.Scheme == "https" && u.Host != "":
		return e, c.listenTLS(e, u.Host)
	}
	return nil, fmt.Errorf("listen %q: want unix:///path or https://host:port", c.Listen)
}

// unlock is called after the listener is closed.
func (e *entrance) unlock() error {
	if e.lock == nil {
		return nil
	}
	return e.lock.Close()
}

// token is what callers must show: none on a socket, whose mode says it all.
func (c Config) token() string {
	if u, err := url.Parse(c.Listen); err == nil && u.Scheme == "unix" {
		return ""
	}
	return c.Token
}

func (c Config) listenTLS(e *entrance, address string) error {
	if c.Cert == "" || c.Key == "" || c.Token == "" {
		return fmt.Errorf("listen %s: an agent on TCP needs a certificate, its key and a token", c.Listen)
	}
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	if e.socket == nil {
		if e.socket, err = net.Listen("tcp", address); err != nil {
			return fmt.Errorf("listening on %s: %w", c.Listen, errno(err))
		}
	}
	e.Listener = tls.NewListener(e.socket, &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	})
	return nil
}

// listenSocket replaces a socket that nobody serves. The lock beside it
// decides between agents: without it, two could both find the socket dead.
func listenSocket(ctx context.Context, path string) (net.Listener, *os.File, error) {
	held, err := lock(ctx, path+".lock")
	if err != nil {
		return nil, nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	l, err := replaceSocket(ctx, path)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listening on %s: %w", path, err), held.Close())
	}
	return l, held, nil
}

func replaceSocket(ctx context.Context, path string) (net.Listener, error) {
	stat, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return bind(ctx, path)
	case err != nil:
		return nil, cause(err)
	case stat.Mode()&os.ModeSocket == 0:
		return nil, errors.New("it is there and no socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return nil, errors.Join(errors.New("somebody else serves it"), conn.Close())
	}
	if err := os.Remove(path); err != nil {
		return nil, cause(err)
	}
	return bind(ctx, path)
}

// bind makes a socket that only its owner can use. Linux gives the file the
// mode that the socket had before; elsewhere there is a moment between bind
// and chmod, which only the directory's mode can close.
func bind(ctx context.Context, path string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			// macOS refuses this, and the chmod below does it.
			_ = unix.Fchmod(int(fd), 0o600)
		})
	}}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, errno(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(cause(err), l.Close())
	}
	return l, nil
}

// errno leaves out what was called with what, which is named already.
func errno(err error) error {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}
