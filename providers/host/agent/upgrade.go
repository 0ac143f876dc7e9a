package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"pleat/providers/host/api"
)

// enter holds a handover up until done is called. While one is under way, and
// after it, nothing is answered here: what is known here may be old.
func (s *server) enter(*http.Request) (done func(), err error) {
	s.gate.RLock()
	if s.moving {
		s.gate.RUnlock()
		return nil, api.Errorf(api.CodeMoved, "agent %s is being replaced by its successor", s.host)
	}
	return s.gate.RUnlock, nil
}

// move begins a handover; false when there is one.
func (s *server) move(on bool) bool {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.moving == on {
		return false
	}
	s.moving = on
	return true
}

// gone tells that a successor took over.
func (s *server) gone() bool {
	select {
	case <-s.moved:
		return true
	default:
		return false
	}
}

// upgrade hands everything over to another program: it gets the sockets and the
// locks, reads what this agent wrote, and answers before this one stops to.
// Instances do not notice. When it does not come to answer, this agent goes on.
func (s *server) upgrade(r *http.Request) (any, error) {
	u, err := decode[api.Upgrade](r)
	if err != nil {
		return nil, err
	}
	if s.config.Successor == nil {
		return nil, api.Errorf(api.CodeInvalid, "agent %s cannot be replaced", s.host)
	}
	if err := s.artifacts.Verify(u.SHA256); err != nil {
		return nil, err
	}
	if s.runs(u.SHA256) {
		return api.Upgraded{From: os.Getpid(), To: os.Getpid()}, nil
	}
	program := s.artifacts.Path(u.SHA256)
	if err := s.config.try(r.Context(), program); err != nil {
		return nil, api.Errorf(api.CodeInvalid, "agent %s stays as it is: the program does not run there: %v", s.host, err)
	}
	if !s.move(true) {
		return nil, api.Errorf(api.CodeMoved, "agent %s is being replaced already", s.host)
	}
	heir, err := s.handOver(program, u.SHA256)
	if err != nil {
		s.move(false)
		return nil, api.Errorf(api.CodeInvalid, "agent %s stays as it is: its successor did not take over: %v", s.host, err)
	}
	s.heir = heir
	close(s.moved)
	// The successor holds the locks as well; whoever comes after it must not
	// find them held here.
	err = errors.Join(s.router.Leave(), s.door.unlock(), s.held.Close())
	if err != nil {
		s.log.Warn("leaving", "error", err)
	}
	s.log.Info("a successor took over", "host", s.host, "pid", heir.cmd.Process.Pid)
	return api.Upgraded{From: os.Getpid(), To: heir.cmd.Process.Pid}, nil
}

// runs tells whether this process is that program.
func (s *server) runs(digest string) bool {
	if s.program != "" {
		return s.program == digest
	}
	f, err := os.Open(self)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == digest
}

// self is this process's program: proc_pid_exe(5). Elsewhere it is not known.
const self = "/proc/self/exe"

// handOver raises the successor. With an error everything is as it was.
func (s *server) handOver(program, digest string) (*heir, error) {
	file, ok := s.door.socket.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.New("the socket of the API cannot be handed over")
	}
	door, err := file.File()
	if err != nil {
		return nil, err
	}
	defer door.Close()
	routes, err := s.router.Freeze()
	defer func() {
		for _, f := range routes {
			_ = f.Close() // copies for the successor
		}
	}()
	if err != nil {
		s.router.Thaw()
		return nil, err
	}
	s.memory().supervisor.Freeze()
	err = s.rest()
	var h *heir
	if err == nil {
		locks := []*os.File{s.held}
		if s.door.lock != nil {
			locks = append(locks, s.door.lock)
		}
		h, err = s.config.raise(program, digest, door, locks, routes)
	}
	if err == nil {
		return h, nil
	}
	return nil, errors.Join(err, s.goOn())
}

// goOn takes a handover back.
func (s *server) goOn() error {
	s.router.Thaw()
	if err := s.recall(); err != nil {
		return fmt.Errorf("going on: %w", err)
	}
	s.keep(context.Background()) // it ends by rest
	return nil
}

// fade answers callers of the API until those that know only this process have
// gone.
func (s *server) fade(ctx context.Context, hs *http.Server) error {
	if u, ok := s.door.socket.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it is the successor's
	}
	err := s.door.Close()
	wait(ctx, unused, func() bool { return false })
	return errors.Join(err, shutDown(hs, lingering))
}

// leave waits until requests under way are answered, once a successor took over.
func (s *server) leave(ctx context.Context) {
	wait(ctx, lingering, func() bool {
		requests, _ := s.router.Left()
		return requests == 0
	})
	s.log.Info("the last request is answered", "host", s.host)
	_ = s.heir.busy.Close() // the successor sees it
	wait(ctx, unused, func() bool {
		_, connections := s.router.Left()
		return connections == 0
	})
}

// wait returns once met is true, the time is over or ctx ends.
func wait(ctx context.Context, atMost time.Duration, met func() bool) {
	giveUp := time.After(atMost)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !met() {
		select {
		case <-ctx.Done():
			return
		case <-giveUp:
			return
		case <-look.C:
		}
	}
}
