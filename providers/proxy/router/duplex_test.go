package router_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// converse answers each line of a request as it hears it.
func converse(out http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(out)
	_ = control.EnableFullDuplex() // HTTP/2 always is
	in := bufio.NewReader(r.Body)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(out, "heard ", line)
		if control.Flush() != nil {
			return
		}
	}
}

// What a client still has to say reaches the backend after its answer began, as calls
// that stream both ways have it.
func TestAnAnswerMayBeginBeforeItsRequestHasEnded(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			w := newWorld(t)
			client := &http.Client{Transport: &http.Transport{}}
			s := httptest.NewUnstartedServer(http.HandlerFunc(converse))
			if protocol == "HTTP/2.0" {
				s.Config.Protocols = &http.Protocols{}
				s.Config.Protocols.SetUnencryptedHTTP2(true)
				client = w.second()
			}
			t.Cleanup(client.CloseIdleConnections)
			s.Start()
			t.Cleanup(s.Close)
			w.Health(ref(1), true)
			w.attach(api.Backend{Ref: ref(1), Host: "a", Address: s.Listener.Addr().String(), HTTP2: protocol == "HTTP/2.0"})
			ctx, cancel := context.WithTimeout(t.Context(), agenttest.Patience)
			defer cancel()
			said, say := io.Pipe()
			context.AfterFunc(ctx, func() { _ = say.Close() }) // for which a client that gives up waits
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.listen+"/", said)
			if err != nil {
				t.Fatal(err)
			}
			go fmt.Fprintln(say, "one")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.Proto != protocol {
				t.Fatalf("it is %s", resp.Proto)
			}
			in := bufio.NewReader(resp.Body)
			if line, err := in.ReadString('\n'); line != "heard one\n" || err != nil {
				t.Errorf("the answer begins with %q, %v", line, err)
			}
			if _, err := fmt.Fprintln(say, "two"); err != nil {
				t.Error(err)
			}
			if line, err := in.ReadString('\n'); line != "heard two\n" || err != nil {
				t.Errorf("the answer goes on with %q, %v", line, err)
			}
			if err := say.Close(); err != nil {
				t.Error(err)
			}
			if line, err := in.ReadString('\n'); !errors.Is(err, io.EOF) {
				t.Errorf("the answer ends with %q, %v", line, err)
			}
		})
	}
}
