// Package agenttest runs real agents and real instances for tests. The test
// binary is both: Main turns it into an agent or into an instance's program
// when it is started as one.
package agenttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"pleat/providers/host/agent"
)

// The first argument by which the test binary knows what it is.
const (
	asAgent   = "pleat-test-agent"
	asProgram = "pleat-test-program"
)

// Main is what TestMain does: it runs the tests, unless the binary was started
// as an agent or a program. It exits.
func Main(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == asAgent {
		runAgent(os.Args[2])
	}
	if len(os.Args) > 1 && os.Args[1] == asProgram {
		runProgram(os.Args[2:])
	}
	os.Exit(m.Run())
}

// settings are an agent's configuration as far as it fits an argument.
type settings struct {
	Name, Dir, Listen, Cert, Key, Token string
	// Rests is the back-off by number of restarts; the last one repeats.
	Rests []time.Duration
}

func runAgent(arg string) {
	var s settings
	if err := json.Unmarshal([]byte(arg), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	go func() {
		defer orphaned()
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the test's process
	}()
	c := agent.Config{
		Name: s.Name, Dir: s.Dir, Listen: s.Listen, Cert: s.Cert, Key: s.Key, Token: s.Token,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if len(s.Rests) > 0 {
		c.Backoff = func(n int) time.Duration { return s.Rests[min(n, len(s.Rests)-1)] }
	}
	if err := agent.Run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
