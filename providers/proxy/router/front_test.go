package router_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pleat/providers/host/agenttest"
	"pleat/spec"
)

// brief is shorter than anything else here takes.
const brief = 200 * time.Millisecond

// dial gives a connection that has as long as tests do.
func (w *world) dial() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.listen)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(agenttest.Patience))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// wantCut waits until the router has closed a connection, which it must not before
// that long.
func (w *world) wantCut(what string, conn io.Reader, least time.Duration) {
	w.t.Helper()
	began := time.Now()
	n, err := io.Copy(io.Discard, conn)
	if took := time.Since(began); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) || took < least {
		w.t.Errorf("%s: %d bytes, %v after %s", what, n, err, took)
	}
}

// requested sends a request and reads its answer.
func (w *world) requested(conn net.Conn, in *bufio.Reader) {
	w.t.Helper()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(in, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	if err != nil || answer.StatusCode != http.StatusOK || answer.Close {
		w.t.Errorf("a request: %v, %v", answer, err)
	}
}

// TestASlowHeaderIsCutOff, however steadily it comes; a connection of before keeps
// what it had, and the first request has no more time than the next.
func TestASlowHeaderIsCutOff(t *testing.T) {
	w := newWorld(t)
	w.serve(1, name(1))
	before := w.dial()
	w.requested(before, bufio.NewReader(before))
	w.requestedAround(before, func() {
		w.limit(spec.RouterLimits{HeaderTimeout: brief})
		w.wantCut("one that says nothing", w.dial(), brief/2)
		kept := w.dial()
		in := bufio.NewReader(kept)
		w.requested(kept, in)
		w.requested(kept, in)
		for _, conn := range []net.Conn{w.dial(), kept} {
			var slow sync.WaitGroup
			slow.Go(func() {
				_, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: ")
				for ; err == nil; <-time.After(brief / 10) {
					_, err = conn.Write([]byte("x"))
				}
			})
			w.wantCut("one whose header never ends", conn, brief/2)
			conn.Close()
			slow.Wait()
		}
	})
}

// requestedAround sends half of a request before f and half after it, and reads the
// answer.
func (w *world) requestedAround(conn net.Conn, f func()) {
	w.t.Helper()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\n")
	f()
	fmt.Fprint(conn, "Host: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.t.Errorf("the request that was begun before: %v, %v", answer, err)
		return
	}
	answer.Body.Close()
}

// TestAnIdleConnectionIsClosed after the time that is set, or then is.
func TestAnIdleConnectionIsClosed(t *testing.T) {
	w := newWorld(t)
	w.serve(1, name(1))
	w.limit(spec.RouterLimits{IdleTimeout: brief})
	conn := w.dial()
	w.requested(conn, bufio.NewReader(conn))
	w.wantCut("an idle one", conn, brief/2)

	second := w.second()
	w.over(second.Transport.(*http.Transport), func(closed <-chan struct{}) {
		answer, err := second.Get("http://" + w.listen + "/")
		if err != nil || answer.ProtoMajor != 2 {
			t.Fatalf("HTTP/2: %v, %v", answer, err)
		}
		answer.Body.Close()
		select {
		case <-closed:
		case <-time.After(agenttest.Patience):
			t.Error("an idle one of HTTP/2 is kept")
		}
	})

	w.limit(spec.RouterLimits{IdleTimeout: agenttest.Patience})
	kept := w.dial()
	in := bufio.NewReader(kept)
	w.requested(kept, in)
	<-time.After(3 * brief) // as long as the others were not kept
	w.requested(kept, in)
}

// second is a client that speaks HTTP/2 without TLS.
func (w *world) second() *http.Client {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: p}}
}

// over calls f with what is closed once the router closes the transport's connection.
func (w *world) over(t *http.Transport, f func(closed <-chan struct{})) {
	closed := make(chan struct{})
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &watchedConn{Conn: c, closed: closed}, err
	}
	defer t.CloseIdleConnections()
	f(closed)
}

type watchedConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

// Read notices the end.
func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.once.Do(func() { close(c.closed) })
	}
	return n, err
}

// TestTimeoutsCutNothingThatIsUnderWay: neither a long request, a body or an answer
// that comes in drops, nor what left HTTP.
func TestTimeoutsCutNothingThatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.serve(1, func(out http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echoing(out, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		<-time.After(3 * brief)
		fmt.Fprintln(out, len(body), err)
		for range 5 {
			_ = http.NewResponseController(out).Flush()
			<-time.After(2 * brief)
			fmt.Fprintln(out, "drop")
		}
	})
	w.limit(spec.RouterLimits{HeaderTimeout: brief, IdleTimeout: brief})
	conn, in := w.upgraded()
	for name, client := range map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{}}, "HTTP/2": w.second()} {
		answer, err := client.Post("http://"+w.listen+"/", "text/plain", &drops{left: 5})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := io.ReadAll(answer.Body)
		if want := "5 <nil>\n" + strings.Repeat("drop\n", 5); string(text) != want || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		answer.Body.Close()
		client.CloseIdleConnections()
	}
	fmt.Fprintln(conn, "still here")
	if got, err := in.ReadString('\n'); got != "still here\n" || err != nil {
		t.Errorf("what left HTTP: %q, %v", got, err)
	}
}

// drops is a body that comes slowly.
type drops struct{ left int }

// Read gives a byte after a while.
func (d *drops) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	<-time.After(2 * brief)
	d.left--
	p[0] = 'x'
	return 1, nil
}
