package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/providers/postgres/pgtest"
)

// childVariable makes the test binary a process that starts a cluster and
// then waits to be killed.
const childVariable = "PGTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

func child() int {
	s, err := pgtest.Start(context.Background(), "")
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	os.Stdout.WriteString(s.Socket() + "\n" + strconv.Itoa(s.PID()) + "\n")
	select {}
}

func TestDatabaseIsFreshAndDroppedAtTheEnd(t *testing.T) {
	s := pgtest.New(t)
	var url string
	t.Run("inner", func(t *testing.T) {
		url = s.Database(t)
		c := pgtest.Connect(t, url)
		if n := pgtest.Value[int](t, c, "select count(*) from pg_tables where schemaname = 'public'"); n != 0 {
			t.Errorf("%d tables in a fresh database", n)
		}
	})
	if c, err := pgx.Connect(t.Context(), url); err == nil {
		t.Errorf("the database is still there: %v", c.Close(t.Context()))
	}
}

func TestRestartKeepsWhatWasCommitted(t *testing.T) {
	s := pgtest.Own(t)
	s.Exec(t, "create table kept ()")
	for _, mode := range []pgtest.Mode{pgtest.Fast, pgtest.Immediate} {
		s.Restart(t, mode)
		c := pgtest.Connect(t, s.URL("postgres"))
		if n := pgtest.Value[int](t, c, "select count(*) from pg_class where relname = 'kept'"); n != 1 {
			t.Errorf("after a %s restart the table is gone", mode)
		}
	}
}

func TestPasswordsAreAskedOfEveryoneButTheSuperuser(t *testing.T) {
	s := pgtest.New(t)
	s.Exec(t, "create role asked login password 'right'")
	t.Cleanup(func() { s.Exec(t, "drop role asked") })
	for password, want := range map[string]bool{"right": true, "wrong": false} {
		url := strings.Replace(s.URL("postgres"), "postgres@", "asked:"+password+"@", 1)
		c, err := pgx.Connect(t.Context(), url)
		if (err == nil) != want {
			t.Errorf("password %s: %v", password, err)
		}
		if err != nil {
			continue
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestNothingIsLeftWhenTheStarterIsKilled(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	dir := lines.Text()
	lines.Scan()
	pid, err := strconv.Atoi(lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	eventually(t, "the postmaster is gone", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	eventually(t, "the directory is gone", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
}

func TestBinariesSaysWhatToInstall(t *testing.T) {
	dir, err := pgtest.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "postgres")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(pgtest.ErrNotInstalled.Error(), "apt-get install postgresql") {
		t.Errorf("no command to type in %q", pgtest.ErrNotInstalled)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}
