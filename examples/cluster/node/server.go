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

const (
	// look is how often a node looks at the cluster.
	look = 100 * time.Millisecond
	// patient is how long a standby may be without the WAL of a primary that
	// answers. One that connects anew takes a second or two.
	patient = 10 * time.Second
)

// server is the PostgreSQL of a node.
type server struct {
	cluster
	addr       string
	host, port string
	name       string // in the cluster
	data       string
	user       *syscall.Credential // PostgreSQL does not run as root; nil: as whoever runs this

	without time.Time // since when a standby is without the primary's WAL; zero: it is not
}

// nobody is the role of a node that takes writes without being the primary of the
// cluster: none, which is not what it was before.
const nobody = "\n"

// errAstray is that a standby cannot follow the primary from where it is: it may have
// what that one never had, or needs what that one has no more.
var errAstray = errors.New("it cannot follow the primary from where it is")

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
	err = s.run(ctx)
	if !errors.Is(err, errAstray) {
		return err
	}
	if err := errors.Join(replace(os.Getenv("PLEAT_ROLE"), ""), s.anew(ctx, err)); err != nil {
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
		return s.copy(ctx)
	}
	err = s.mayFollow(ctx)
	switch {
	case errors.Is(err, errAstray):
		return s.anew(ctx, err)
	case err != nil:
		return err
	}
	return s.stand()
}

// stand makes a standby of the data directory.
func (s *server) stand() error {
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

// anew takes a copy in place of what is there.
func (s *server) anew(ctx context.Context, why error) error {
	fmt.Fprintf(os.Stderr, "cluster: %s: %s: copying the primary anew\n", s.name, why)
	return s.copy(ctx)
}

// copy takes a copy of the primary, which may be busy for a moment, and stands by
// with it. What was there stays until the copy is whole.
func (s *server) copy(ctx context.Context) error {
	fresh := s.data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	for {
		_, addr := s.primary()
		host, port, err := net.SplitHostPort(addr)
		if err == nil {
			err = s.command("pg_basebackup", "--host", host, "--port", port, "--username=postgres", "--checkpoint=fast", "--no-sync", "--pgdata", fresh).Run()
		}
		if err == nil {
			return errors.Join(os.RemoveAll(s.data), os.Rename(fresh, s.data), s.stand())
		}
		if err := errors.Join(pause(ctx), os.RemoveAll(fresh)); err != nil {
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
		"-c", "synchronous_standby_names=FIRST 1 (*)", "-c", "wal_retrieve_retry_interval=1s",
	}
	s.without = time.Time{}
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
			if !s.without.IsZero() && time.Since(s.without) > patient {
				return errors.Join(errAstray, postgres.Process.Signal(syscall.SIGINT), <-ended)
			}
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
	since := s.without
	s.without = time.Time{}
	own, err := connect(ctx, s.addr)
	if err != nil {
		return ""
	}
	defer own.Close(ctx)
	var standby bool
	var follows, timeline string
	if err := own.QueryRow(ctx, `
		select pg_is_in_recovery(), current_setting('primary_conninfo'),
			coalesce((select lpad(upper(to_hex(received_tli)), 8, '0') from pg_stat_wal_receiver), '')`).
		Scan(&standby, &follows, &timeline); err != nil {
		return ""
	}
	if !standby {
		if name, _ := s.primary(); name == s.name {
			return "primary"
		}
		return nobody
	}
	if want := s.follow(); want != "" && follows != want {
		if _, err := own.Exec(ctx, "alter system set primary_conninfo to '"+strings.ReplaceAll(want, "'", "''")+"'"); err == nil {
			_, _ = own.Exec(ctx, "select pg_reload_conf()") // the next look tells
		}
		return ""
	}
	return s.place(ctx, timeline, since)
}

// timelineSQL is that of a primary, as its segments are named; any other fails.
const timelineSQL = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"

// place is what the primary has the standby for, once that has caught up on the
// timeline of the primary: on another one it is ahead by what is not there. What it
// is without since then it may be without still: that counts only while there is a
// primary.
func (s *server) place(ctx context.Context, timeline string, since time.Time) string {
	_, addr := s.primary()
	primary, err := connect(ctx, addr)
	if err != nil {
		return ""
	}
	defer primary.Close(ctx)
	var gets, caught bool
	var state string
	err = primary.QueryRow(ctx, `
		select r.state is not null and p.timeline = $2,
			coalesce(r.state = 'streaming' and r.replay_lsn >= p.lsn - 65536, false), coalesce(r.sync_state, '')
		from (select pg_current_wal_lsn(), `+timelineSQL+`) as p (lsn, timeline)
		left join pg_stat_replication as r on r.application_name = $1 and r.state in ('catchup', 'streaming')`, s.name, timeline).Scan(&gets, &caught, &state)
	switch {
	case err != nil:
		return ""
	case !gets && since.IsZero():
		s.without = time.Now()
	case !gets:
		s.without = since
	}
	switch {
	case !gets || !caught:
		return ""
	case state == "sync":
		return "sync"
	}
	return "async"
}

// mayFollow is errAstray where what is there is not of the timeline of the primary,
// which would take what is ahead on another one for a copy of what it has. Where it
// does not answer, that shows later.
func (s *server) mayFollow(ctx context.Context) error {
	_, addr := s.primary()
	primary, err := connect(ctx, addr)
	if err != nil {
		return nil
	}
	defer primary.Close(ctx)
	var timeline string
	if err := primary.QueryRow(ctx, "select "+timelineSQL).Scan(&timeline); err != nil {
		return nil
	}
	files, err := os.ReadDir(filepath.Join(s.data, "pg_wal"))
	if err != nil {
		return err
	}
	last := ""
	for _, f := range files {
		if name := f.Name(); len(name) == 24 { // a segment
			last = max(last, name[:8])
		}
	}
	if last != timeline {
		return errAstray
	}
	return nil
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
