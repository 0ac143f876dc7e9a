package router

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"pleat/providers/host/api"
)

// machine is the whole of a backend's life. A row is what it is in, + where its
// instance is healthy and - where it is not; a column is what comes. "floor" is a
// drain that must leave one other serving where it serves itself, "elsewhere" an attach at another address,
// "stale" the end of a drain that was taken back. The answer is what it is in
// afterwards, "refused" where nothing changed, "taken" or not for a request.
const machine = `
          attach    elsewhere drain     floor     detach  emptied   stale     healthy   ill       request
absent-   attached- attached- absent-   absent-   absent- absent-   absent-   absent+   absent-   refused
absent+   attached+ attached+ absent+   absent+   absent+ absent+   absent+   absent+   absent-   refused
attached- attached- attached- draining- draining- absent- attached- attached- attached+ attached- refused
attached+ attached+ attached+ draining+ refused   absent+ attached+ attached+ attached+ attached- taken
draining- attached- attached- draining- draining- absent- absent-   draining- draining+ draining- refused
draining+ attached+ attached+ draining+ draining+ absent+ absent+   draining+ draining+ draining- refused
`

var only = api.Backend{Ref: api.Ref{Service: "s", Release: "r", Instance: "web.1"}, Host: "a", Address: "127.0.0.1:1"}

const listen = "127.0.0.1:0"

// Each event has its answer in whatever a backend is in.
func TestEveryEventIsAnswered(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(machine), "\n")
	events := strings.Fields(rows[0])
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		for n, event := range events {
			r := inState(t, cells[0])
			if got := become(t, r, event); got != cells[n+1] {
				t.Errorf("%s, %s: %s, want %s", cells[0], event, got, cells[n+1])
			}
		}
	}
}

// inState is a router that does no work by itself, with a backend that is in that.
func inState(t *testing.T, state string) *Router {
	r, err := New(t.TempDir(), only.Host, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	r.Health(only.Ref, strings.HasSuffix(state, "+"))
	if _, err := r.attach(listen, []api.Backend{only}); err != nil {
		t.Fatal(err)
	}
	switch state[:len(state)-1] {
	case "absent":
		err = r.Detach(listen, []api.Ref{only.Ref})
	case "draining":
		err = leave(r, 0)
	}
	if err != nil || stateOf(r) != state {
		t.Fatalf("%s, want %s: %v", stateOf(r), state, err)
	}
	return r
}

func leave(r *Router, floor int) error {
	_, _, err := r.mark(listen, api.Drain{Backends: []api.Ref{only.Ref}, Timeout: time.Hour, Floor: floor})
	return err
}

func stateOf(r *Router) string {
	health := "-"
	if r.cell(only.Ref).Load() {
		health = "+"
	}
	all := r.Routes()[0].Backends
	switch {
	case len(all) == 0:
		return "absent" + health
	case all[0].Draining:
		return "draining" + health
	}
	return "attached" + health
}

// become is what becomes of the backend.
func become(t *testing.T, r *Router, event string) string {
	o := r.routes[listen]
	b := o.find(only.Ref)
	before := stateOf(r)
	var err error
	switch event {
	case "attach":
		_, err = r.attach(listen, []api.Backend{only})
	case "elsewhere":
		moved := only
		moved.Address = "127.0.0.1:2"
		_, err = r.attach(listen, []api.Backend{moved})
	case "drain":
		err = leave(r, 0)
	case "floor":
		err = leave(r, 1)
	case "detach":
		err = r.Detach(listen, []api.Ref{only.Ref})
	case "emptied":
		if b != nil && b.drain != nil {
			r.takeOut(o, b, b.drain)
		}
	case "stale":
		if b != nil {
			r.takeOut(o, b, &drain{done: make(chan struct{})})
		}
	case "healthy", "ill":
		r.Health(only.Ref, event == "healthy")
	case "request":
		if b != nil && b.take(nil) {
			return "taken"
		}
		return "refused"
	}
	if err == nil {
		return stateOf(r)
	}
	if stateOf(r) != before {
		t.Errorf("%s, %s: %v, and it is %s", before, event, err, stateOf(r))
	}
	return "refused"
}
