package agenttest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Say has the instance at an address write to the file that a variable of its
// environment names, as programs do to say something of themselves.
func Say(t testing.TB, address, variable, text string) {
	t.Helper()
	for line := range strings.Lines(Get(t, address, "/env")) {
		if file, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), variable+"="); ok {
			if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("the instance at %s has no %s", address, variable)
}

// Get is what the instance at an address answers.
func Get(t testing.TB, address, path string) string {
	t.Helper()
	r, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Request asks a router for an answer of an instance.
func Request(ctx context.Context, listen string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/pid", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the router answers %s", answer.Status)
	}
	return nil
}

// Busy sends a request through the router to the instance at an address, and
// returns once that has it. It is in flight until finish is called.
func Busy(t testing.TB, listen, address string) (finish func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/slow?for="+(2*Patience).String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var arrived atomic.Bool
	var came atomic.Value // of a request that ended too early
	came.Store("nothing")
	go func() {
		defer close(ended)
		for ctx.Err() == nil && !arrived.Load() {
			if answer, err := http.DefaultClient.Do(r); err == nil {
				answer.Body.Close()
				came.Store(answer.Status)
			} else {
				came.Store(err.Error())
			}
		}
	}()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(Patience); Get(t, address, "/busy") == "0"; <-look.C {
		if time.Now().After(end) {
			t.Fatalf("the request does not arrive: %s", came.Load())
		}
	}
	arrived.Store(true)
	return func() { cancel(); <-ended }
}
