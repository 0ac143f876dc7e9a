package agent_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pleat/providers/host/agent"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// refused runs an agent that must not come up.
func refused(t *testing.T, c agent.Config) string {
	t.Helper()
	err := agent.Run(t.Context(), c)
	if err == nil {
		t.Fatal("the agent ran")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %v", err)
	}
	return err.Error()
}

func TestAgentRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := agenttest.Certificate(t)
	state, socket := filepath.Join(dir, "state"), "unix://"+filepath.Join(dir, "s")
	tests := []struct {
		name   string
		config agent.Config
		want   string
	}{
		{"directory's parent missing", agent.Config{Dir: filepath.Join(dir, "x/y"), Listen: socket},
			"agent directory " + dir + "/x/y: no such file or directory"},
		{"socket's directory missing", agent.Config{Dir: state, Listen: "unix://" + dir + "/x/s"},
			"listening on " + dir + "/x/s: no such file or directory"},
		{"socket is a file", agent.Config{Dir: state, Listen: "unix://" + file},
			"listening on " + file + ": it is there and no socket"},
		{"port taken", agent.Config{Dir: state, Listen: "https://" + taken.Addr().String(), Cert: cert, Key: key, Token: "t"},
			"listening on https://" + taken.Addr().String() + ": address already in use"},
		{"tcp without a token", agent.Config{Dir: state, Listen: "https://127.0.0.1:0", Cert: cert, Key: key},
			"listen https://127.0.0.1:0: an agent on TCP needs a certificate, its key and a token"},
		{"tcp without a certificate", agent.Config{Dir: state, Listen: "https://127.0.0.1:0", Token: "t"},
			"listen https://127.0.0.1:0: an agent on TCP needs a certificate, its key and a token"},
		{"plain tcp", agent.Config{Dir: state, Listen: "http://127.0.0.1:0", Token: "t"},
			`listen "http://127.0.0.1:0": want unix:///path or https://host:port`},
		{"no scheme", agent.Config{Dir: state, Listen: "127.0.0.1:0", Token: "t"},
			`listen "127.0.0.1:0": want unix:///path or https://host:port`},
		{"every address", agent.Config{Dir: state, Listen: socket, Address: "0.0.0.0"},
			`address "0.0.0.0": want one IP address of this host, that the router can reach`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := refused(t, tt.config); got != tt.want {
				t.Errorf("Run = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAgentWithoutPermissionSaysSo(t *testing.T) {
	dir := t.TempDir()
	s := map[string]string{"Dir": filepath.Join(dir, "state"), "Listen": "unix://" + filepath.Join(dir, "s")}
	cmd := agenttest.Command(t, s)
	if os.Getuid() == 0 {
		// Root may do everything: become somebody who may not.
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	cmd.Path = readable(t, cmd.Path)
	out, err := cmd.CombinedOutput()
	want := "agent directory " + s["Dir"] + ": permission denied\n"
	if err == nil || string(out) != want {
		t.Errorf("agent = %q, %v, want %q", out, err, want)
	}
}

// readable is the test binary where another user can execute it.
func readable(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pleat")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "agent")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(out, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSecondAgentIsRefused(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	socket := strings.TrimPrefix(a.URL, "unix://")
	got := refused(t, agent.Config{Dir: a.Dir, Listen: a.URL + "2"})
	if want := "agent directory " + a.Dir + ": another agent runs on it"; got != want {
		t.Errorf("same directory: %q, want %q", got, want)
	}
	got = refused(t, agent.Config{Dir: filepath.Join(t.TempDir(), "state"), Listen: a.URL})
	if want := "listening on " + socket + ": another agent runs on it"; got != want {
		t.Errorf("same socket: %q, want %q", got, want)
	}
	if _, err := a.State(t.Context()); err != nil {
		t.Errorf("the first agent: %v", err)
	}
}

// A killed agent's lock may be held for a moment by what it was forking.
func TestLockThatIsGivenBackInTimeIsTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := agent.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan error, 1)
	go func() {
		held, err := agent.Lock(t.Context(), path)
		if err == nil {
			err = held.Close()
		}
		taken <- err
	}()
	select {
	case err := <-taken:
		t.Fatalf("Lock of a held file = %v", err)
	default:
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Errorf("Lock = %v", err)
	}
}

func TestSocketOfSomebodyElseIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := refused(t, agent.Config{Dir: filepath.Join(dir, "state"), Listen: "unix://" + dir + "/s"})
	if want := "listening on " + dir + "/s: somebody else serves it"; got != want {
		t.Errorf("Run = %q, want %q", got, want)
	}
}

func TestSocketIsForItsOwnerOnlyAndReplacedWhenStale(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	socket := strings.TrimPrefix(a.URL, "unix://")
	a.Kill()
	if _, err := os.Stat(socket); err != nil {
		t.Fatalf("no stale socket: %v", err)
	}
	a.Restart()
	stat, err := os.Stat(socket)
	if err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("socket has mode %v, %v, want 0600", stat.Mode(), err)
	}
	stat, err = os.Stat(a.Dir)
	if err != nil || stat.Mode().Perm() != 0o700 {
		t.Errorf("directory has mode %v, %v, want 0700", stat.Mode(), err)
	}
}

func TestTLSAndToken(t *testing.T) {
	cert, key := agenttest.Certificate(t)
	ca, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	a := agenttest.Start(t, agenttest.Options{
		Listen: "https://" + agenttest.FreeAddress(t), Cert: cert, Key: key, Token: "correct", CA: ca,
	})
	other, _ := agenttest.Certificate(t)
	otherCA, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options api.Options
		want    string
	}{
		{"right", api.Options{Token: "correct", CA: ca}, ""},
		{"no token", api.Options{CA: ca}, "agent a: the token is missing or wrong"},
		{"wrong token", api.Options{Token: "wrong", CA: ca}, "agent a: the token is missing or wrong"},
		{"not our CA", api.Options{Token: "correct", CA: otherCA}, "is not trusted: x509: certificate signed by unknown authority"},
		{"system's CAs", api.Options{Token: "correct"}, "authority; its certificate has to be for that host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := api.NewClient(a.URL, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.State(t.Context())
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("State = %v, want nil", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("State = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestAgentThatDoesNotAnswerIsNamedWithAHint(t *testing.T) {
	c, err := api.NewClient("unix:///tmp/pleat-nowhere", api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.State(t.Context())
	want := "agent unix:///tmp/pleat-nowhere does not answer: no such file or directory; " +
		"start it with: pleat agent --listen unix:///tmp/pleat-nowhere"
	if err == nil || err.Error() != want {
		t.Errorf("State = %v, want %s", err, want)
	}
}
