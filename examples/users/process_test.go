package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"pleat/providers/postgres/pgtest"
)

// start runs a release as a process of its own on a free port.
func start(t *testing.T, version, database string) (*os.Process, string, <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := program(t, version, "ADDR="+address, "DATABASE_URL="+database, "PLEAT_RELEASE="+version, "PLEAT_INSTANCE=web.7")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	return cmd.Process, "http://" + address, ended
}

func program(t *testing.T, version string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), append(env, runAs+"="+version)...)
	return cmd
}

func TestTermAnswersWhatIsInFlight(t *testing.T) {
	url := inPhase(t, before)
	p, at, ended := start(t, "1.0.1", url)
	until(t, func() error { return ready(at) })

	blocker := pgtest.Connect(t, url)
	if _, err := blocker.Exec(t.Context(), "begin; update users set name = 'held' where id = 1"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() { answered <- patch(at+"/user", `{"id":1,"name":"in flight"}`) }()
	watcher := pgtest.Connect(t, url)
	until(t, func() error {
		if pgtest.Value[int](t, watcher, "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == 0 {
			return errors.New("the request does not wait")
		}
		return nil
	})
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, func() error {
		if ready(at) == nil {
			return errors.New("it still takes requests")
		}
		return nil
	})
	if _, err := blocker.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got != `200 {"id":1,"name":"in flight"}` {
		t.Errorf("the request in flight got %s", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v, want exit code 0", err)
	}
}

// patch gives the answer, or the error, as text.
func patch(url, body string) string {
	request, err := http.NewRequest(http.MethodPatch, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", response.StatusCode, bytes.TrimSpace(b))
}

// ready tells whether a new connection is answered, and by whom.
func ready(at string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(at + "/healthz")
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	if got := response.Header.Get("X-Release") + " " + response.Header.Get("X-Instance"); got != "1.0.1 web.7" {
		return fmt.Errorf("answered by %q", got)
	}
	return nil
}

func TestCrashesOnStart(t *testing.T) {
	out, err := program(t, "2.0.3", "ADDR=127.0.0.1:0").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "FEATURE_NAMES") {
		t.Errorf("2.0.3 ends with %v and says %q", err, out)
	}
}
