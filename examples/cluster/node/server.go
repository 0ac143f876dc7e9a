package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// look is how often a node looks at the cluster.
const look = 100 * time.Millisecond

// server is the PostgreSQL of a node.
type server struct {
	cluster
	addr       string
	host, port string
	name       string // in the cluster
	data       string
	user       *syscall.Credential // PostgreSQL does not run as root; nil: as whoever runs this
}

// nameOf is this node's name in the cluster.
func nameOf() string { return os.Getenv("PLEAT_RELEASE") + "_" + os.Getenv("PLEAT_INSTANCE") }

// serve runs the node until ctx ends or PostgreSQL does.
func serve(ctx context.Context, c cluster) error {
	s := &server{cluster: c, addr: os.Getenv("ADDR"), name: nameOf()}
	var err error
	if s.host, s.port, err = net.SplitHostPort(s.addr); err != nil {
		return fmt.Errorf("ADDR: %w", err)
	}
	if err := s.own(); err != nil {
		return err
	}
	founder, err := s.found(s.name, s.addr)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, founder); err != nil {
		return err
	}
	return s.run(ctx)
}

// own makes the node's directory, for whoever runs PostgreSQL.
func (s *server) own() error {
	dir := filepath.Join(string(s.cluster), s.name)
	s.data = filepath.Join(dir, "data")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	s.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(dir, uid, gid)
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = os.Stdout, os.Stderr, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	return cmd
}

// prepare makes the data directory what the node is to be: the founder's, one
// that is there and was the primary's still, or a copy that follows.
func (s *server) prepare(ctx context.Context, founder bool) error {
	_, err := os.Stat(filepath.Join(s.data, "PG_VERSION"))
	there := err == nil
	if founder && !there {
		return s.command("initdb", "--auth=trust", "--no-sync", "--username=postgres", "--pgdata", s.data).Run()
	}
	if name, _ := s.primary(); name == s.name { // it may listen elsewhere now
		return s.elect(s.name, s.addr)
	}
	if !there {
		if err := s.copy(ctx); err != nil {
			return err
		}
	}
	return errors.Join(s.put("standby.signal", ""), s.put("postgresql.auto.conf", "primary_conninfo = '"+s.follow()+"'\n"))
}

// put writes a file of the data directory.
func (s *server) put(name, text string) error {
	path := filepath.Join(s.data, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil || s.user == nil {
		return err
	}
	return os.Chown(path, int(s.user.Uid), int(s.user.Gid))
}

// copy takes a copy of the primary, which may be busy for a moment.
func (s *server) copy(ctx context.Context) error {
	for {
		_, addr := s.primary()
		host, port, err := net.SplitHostPort(addr)
		if err == nil {
			err = s.command("pg_basebackup", "--host", host, "--port", port, "--username=postgres", "--checkpoint=fast", "--no-sync", "--pgdata", s.data).Run()
		}
		if err == nil {
			return nil
		}
		if err := errors.Join(pause(ctx), os.RemoveAll(s.data)); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(look):
		return nil
	}
}

// run keeps PostgreSQL and says what it is, until ctx ends. It is then stopped in
// order: a primary that stops so has sent everything to those that follow it.
func (s *server) run(ctx context.Context) error {
	settings := []string{
		"-D", s.data, "-p", s.port, "-c", "listen_addresses=" + s.host, "-c", "unix_socket_directories=",
		"-c", "wal_level=replica", "-c", "hot_standby=on", "-c", "wal_keep_size=256MB", "-c", "fsync=off",
		"-c", "synchronous_standby_names=FIRST 1 (*)",
	}
	postgres := s.command("postgres", settings...)
	// PostgreSQL hears of the end from here, and not from who ends the group.
	postgres.SysProcAttr.Setpgid = true
	if err := postgres.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- postgres.Wait() }()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("PostgreSQL ended: %w", err)
		case <-ctx.Done():
			return errors.Join(postgres.Process.Signal(syscall.SIGINT), <-ended)
		case <-time.After(look):
			if role := s.role(ctx); role != "" {
				if err := replace(os.Getenv("PLEAT_ROLE"), role); err != nil {
					return err
				}
			}
		}
	}
}

// follow is where a standby gets its WAL from.
func (s *server) follow() string {
	name, addr := s.primary()
	host, port, err := net.SplitHostPort(addr)
	if err != nil || name == s.name {
		return ""
	}
	return fmt.Sprintf("host=%s port=%s user=postgres application_name=%s", host, port, s.name)
}

func connect(ctx context.Context, addr string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return pgx.Connect(ctx, "postgres://postgres@"+addr+"/postgres?sslmode=disable")
}

// role is what the node is, "" for what is not known now: then what it said last
// holds. A standby follows whoever is the primary.
func (s *server) role(ctx context.Context) string {
	own, err := connect(ctx, s.addr)
	if err != nil {
		return ""
	}
	defer own.Close(ctx)
	var standby bool
	var follows string
	if err := own.QueryRow(ctx, "select pg_is_in_recovery(), current_setting('primary_conninfo')").Scan(&standby, &follows); err != nil {
		return ""
	}
	if !standby {
		if name, _ := s.primary(); name == s.name {
			return "primary"
		}
		return ""
	}
	if want := s.follow(); want != "" && follows != want {
		if _, err := own.Exec(ctx, "alter system set primary_conninfo to '"+strings.ReplaceAll(want, "'", "''")+"'"); err == nil {
			_, _ = own.Exec(ctx, "select pg_reload_conf()") // the next look tells
		}
		return ""
	}
	return s.place(ctx)
}

// place is what the primary has the standby for, once that has caught up.
func (s *server) place(ctx context.Context) string {
	_, addr := s.primary()
	primary, err := connect(ctx, addr)
	if err != nil {
		return ""
	}
	defer primary.Close(ctx)
	var state string
	err = primary.QueryRow(ctx, `
		select sync_state from pg_stat_replication
		where application_name = $1 and state = 'streaming' and replay_lsn >= pg_current_wal_lsn() - 65536`, s.name).Scan(&state)
	switch {
	case err != nil:
		return ""
	case state == "sync":
		return "sync"
	}
	return "async"
}

// promote makes a primary of a standby, and lets the others know. One that is the
// primary already is done.
func promote(ctx context.Context, c cluster, name, addr string) error {
	conn, err := connect(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var standby bool
	if err := conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
		return err
	}
	if standby {
		var done bool
		if err := conn.QueryRow(ctx, "select pg_promote(true, 60)").Scan(&done); err != nil || !done {
			return fmt.Errorf("promoting %s: done %t, %w", addr, done, err)
		}
	}
	return c.elect(name, addr)
}
