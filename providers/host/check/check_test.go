package check_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"pleat/providers/host/check"
	"pleat/spec"
)

// once asks one check once.
func once(t *testing.T, target check.Target, c spec.Check) error {
	t.Helper()
	c.Interval, c.Timeout = time.Hour, max(c.Timeout, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	answers, done := make(chan check.Result), make(chan struct{})
	go func() {
		defer close(done)
		check.Watch(ctx, target, []*spec.Check{&c}, answers)
	}()
	defer func() { cancel(); <-done }()
	return (<-answers).Err
}

func targetOf(t *testing.T, address string) check.Target {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return check.Target{Host: host, Port: n, Env: []string{"PATH=/usr/bin:/bin", "WORD=yes"}}
}

func TestAnswers(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/bad", http.StatusFound) })
	mux.HandleFunc("/hinted", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})
	mux.HandleFunc("/bad", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no database\nat all", 503) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("x", 190)+" password=hunter2", 500)
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	defer server.Close()
	live := targetOf(t, server.Listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := targetOf(t, l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	second := time.Second
	tests := []struct {
		name   string
		target check.Target
		check  spec.Check
		want   string
	}{
		{"http good", live, spec.Check{Kind: spec.CheckHTTP, Path: "/good", Timeout: second}, ""},
		{"http redirect is an answer", live, spec.Check{Kind: spec.CheckHTTP, Path: "/moved", Timeout: second}, ""},
		{"http bad after hints", live, spec.Check{Kind: spec.CheckHTTP, Path: "/hinted", Timeout: second}, "418 I'm a teapot"},
		{"http bad", live, spec.Check{Kind: spec.CheckHTTP, Path: "/bad", Timeout: second}, "503 Service Unavailable: no database"},
		{"http bad, cut off before a word", live, spec.Check{Kind: spec.CheckHTTP, Path: "/long", Timeout: second}, "500 Internal Server Error: " + strings.Repeat("x", 190)},
		{"http bad and silent", live, spec.Check{Kind: spec.CheckHTTP, Path: "/empty", Timeout: second}, "500 Internal Server Error"},
		{"http hangs", live, spec.Check{Kind: spec.CheckHTTP, Path: "/hang", Timeout: 20 * time.Millisecond}, "none within 20ms"},
		{"http refused", dead, spec.Check{Kind: spec.CheckHTTP, Path: "/", Timeout: second}, "connection refused"},
		{"http on another port", dead, spec.Check{Kind: spec.CheckHTTP, Path: "/good", Port: live.Port, Timeout: second}, ""},
		{"tcp good", live, spec.Check{Kind: spec.CheckTCP, Timeout: second}, ""},
		{"tcp refused", dead, spec.Check{Kind: spec.CheckTCP, Timeout: second}, "connection refused"},
		{"exec good", live, spec.Check{Kind: spec.CheckExec, Command: []string{"sh", "-c", "test $WORD = yes"}, Timeout: second}, ""},
		{"exec bad", live, spec.Check{Kind: spec.CheckExec, Command: []string{"sh", "-c", "echo a; echo why; exit 3"}, Timeout: second}, "exit status 3: why"},
		{"exec hangs", live, spec.Check{Kind: spec.CheckExec, Command: []string{"sh", "-c", "sleep 60 & wait"}, Timeout: 50 * time.Millisecond}, "none within 50ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			if got := text(once(t, tt.target, tt.check)); got != tt.want {
				t.Errorf("answer = %q, want %q", got, tt.want)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A start is not held up by the interval: until the first good answer, an
// instance is asked more often.
// TestAProgramThatWritesMuchIsQuotedInShort: neither memory nor the event of the instance
// is for all that it writes.
func TestAProgramThatWritesMuchIsQuotedInShort(t *testing.T) {
	for _, script := range []string{
		"head -c 30000000 /dev/zero | tr '\\0' x; exit 3",
		"yes 0123456789 | head -c 30000000; exit 3",
	} {
		err := check.Once(t.Context(), check.Target{Env: []string{"PATH=/usr/bin:/bin"}}, &spec.Check{
			Kind: spec.CheckExec, Command: []string{"sh", "-c", script}, Timeout: 20 * time.Second,
		})
		var program *check.CommandError
		if !errors.As(err, &program) {
			t.Fatalf("%s: %v", script, err)
		}
		if said := strings.Join(program.Output, ""); len(said) == 0 || len(said) > 10_000 {
			t.Errorf("%s: quoted with %d bytes", script, len(said))
		}
		if text := err.Error(); !strings.HasPrefix(text, "exit status 3") || len(text) > 300 {
			t.Errorf("%s: the error has %d bytes: %.400s", script, len(text), text)
		}
	}
}

func TestFirstGoodAnswerDoesNotWaitForTheInterval(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			http.Error(w, "", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answers, done := make(chan check.Result), make(chan struct{})
	c := &spec.Check{Kind: spec.CheckHTTP, Path: "/", Interval: time.Hour, Timeout: time.Second}
	go func() {
		defer close(done)
		check.Watch(ctx, targetOf(t, server.Listener.Addr().String()), []*spec.Check{c}, answers)
	}()
	for n, want := range []bool{false, false, true} {
		select {
		case a := <-answers:
			if (a.Err == nil) != want {
				t.Errorf("answer %d = %v", n+1, a.Err)
			}
		case <-ctx.Done():
			t.Fatal(fmt.Errorf("answer %d did not come", n+1))
		}
	}
	cancel()
	<-done
}
