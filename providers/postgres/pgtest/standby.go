package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a server that follows s by streaming replication and answers
// questions, for this test alone. It returns once s sends to it. The test is
// skipped where there is no pg_basebackup beside the server's programs.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	program, err := s.program("pg_basebackup")
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	standby, err := create("", s.bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	err = standby.boot(ctx, func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, program, "--pgdata", standby.data(), "--dbname", s.base.String(),
			"--write-recovery-conf", "--checkpoint=fast", "--no-sync")
		demote(cmd, standby.dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running pg_basebackup: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.awaitStreaming(ctx); err != nil {
		t.Fatal(err)
	}
	return standby
}

// Cut has a standby receive nothing more: what is committed from then on it lacks.
func (s *Server) Cut(t testing.TB) {
	t.Helper()
	s.Exec(t, "alter system set primary_conninfo = ''")
	s.Exec(t, "select pg_reload_conf()")
	s.await(t, "select not exists (select from pg_stat_wal_receiver)")
}

// Promote has a standby take over, and returns once it takes writes.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.Exec(t, "select pg_promote()")
	s.await(t, "select not pg_is_in_recovery()")
}

func (s *Server) await(t testing.TB, question string) {
	t.Helper()
	c := Connect(t, s.base.String())
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(startTimeout); !Value[bool](t, c, question); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", question)
		}
	}
}

// program is one that came with the server: PATH may lead to a link that stands
// alone.
func (s *Server) program(name string) (string, error) {
	server, err := filepath.EvalSymlinks(filepath.Join(s.bin, "postgres"))
	if err != nil {
		return "", err
	}
	program := filepath.Join(filepath.Dir(server), name)
	_, err = os.Stat(program)
	return program, err
}

// awaitStreaming returns once the server sends to a standby.
func (s *Server) awaitStreaming(ctx context.Context) error {
	c, err := pgx.Connect(ctx, s.base.String())
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for streams := false; !streams; {
		err := c.QueryRow(ctx, "select exists (select from pg_stat_replication where state = 'streaming')").Scan(&streams)
		if err != nil {
			return errors.Join(fmt.Errorf("waiting for the standby: %w", err), c.Close(context.WithoutCancel(ctx)))
		}
		<-tick.C
	}
	return c.Close(ctx)
}
