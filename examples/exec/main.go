// Command exec is a platform of its own for pleat: processes of this machine, and
// a router in front of them. It is all that the protocol of docs/exec.md asks
// for, and imports nothing of pleat. It keeps no process of its own between two
// commands but the instances and the router, which outlive it: what it knows is
// in the directory that the setting dir names.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

func main() {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "launch": // becomes an instance
			launch(os.Args[2:])
		case "route": // the router, until it is killed
			route(os.Args[2], os.Args[3])
		}
		return
	}
	converse()
}

type request struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

type ticket struct {
	Run, Lease, Authority string
	Fence                 int64
}

// fault is an answer that says why there is no result.
type fault struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Detail  string `json:"detail,omitempty"`
}

func (f *fault) Error() string { return f.Message }

func failed(format string, args ...any) error {
	return &fault{Kind: "failed", Message: fmt.Sprintf(format, args...)}
}

// say writes a line. Reports and answers come from several goroutines.
func say(id int, what string, value any) {
	line, err := json.Marshal(map[string]any{"id": id, what: value})
	if err != nil {
		panic(err)
	}
	saying.Lock()
	defer saying.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

var saying sync.Mutex

type object map[string]any

// converse answers one request after the other, and listens meanwhile for a
// cancel. It ends with its input, and with it what is under way.
func converse() {
	lines := bufio.NewReader(os.Stdin)
	p := &platform{}
	cancel := func() {}
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			cancel()
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			fmt.Fprintln(os.Stderr, "no request:", err)
			os.Exit(1)
		}
		if r.Method == "cancel" {
			cancel()
			continue
		}
		var ctx context.Context
		ctx, cancel = context.WithCancel(context.Background())
		go p.serve(ctx, r)
	}
}

func (p *platform) serve(ctx context.Context, r request) {
	result, err := p.answer(ctx, r)
	switch f := err.(type) {
	case nil:
		say(r.ID, "result", result)
	case *fault:
		say(r.ID, "error", f)
	default: // something of this machine went wrong: who knows how far it came
		say(r.ID, "error", &fault{Kind: "unknown", Message: err.Error()})
	}
}

func (p *platform) answer(ctx context.Context, r request) (any, error) {
	switch r.Method {
	case "hello":
		return p.hello(r.Params)
	case "observe":
		if p.kind == "router" {
			return p.backends()
		}
		return p.observe()
	case "announce":
		var a struct{ Ticket ticket }
		if err := json.Unmarshal(r.Params, &a); err != nil {
			return nil, err
		}
		return object{}, p.locked(func() error { return p.admit(a.Ticket) })
	case "ask":
		return p.ask(r.Params)
	case "probe", "apply":
		return p.step(ctx, r)
	}
	return nil, failed("there is no method %s", r.Method)
}

func (p *platform) hello(params json.RawMessage) (any, error) {
	var h struct {
		Kind     string
		Settings struct{ Dir, Listen string }
	}
	if err := json.Unmarshal(params, &h); err != nil {
		return nil, err
	}
	if h.Settings.Dir == "" {
		return nil, failed("the setting dir is missing")
	}
	p.kind, p.dir, p.listen = h.Kind, h.Settings.Dir, h.Settings.Listen
	abilities := []string{"start", "stop", "smoke", "handover", "check.http", "check.tcp", "artifacts"}
	if p.kind == "router" {
		abilities = []string{"attach", "drain", "weigh"}
	}
	return object{"protocol": 1, "program": "examples/exec", "abilities": abilities}, p.open()
}

// step applies one, or says whether its effect is there.
func (p *platform) step(ctx context.Context, r request) (any, error) {
	var s struct {
		Ticket   ticket
		Limit    int64 `json:"limit_ms"`
		Progress int64 `json:"progress_ms"`
		Stay     int64 `json:"stay_ms"`
		Kind     string
		Action   action
	}
	if err := json.Unmarshal(r.Params, &s); err != nil {
		return nil, err
	}
	if r.Method == "probe" {
		done, err := p.probe(s.Ticket, s.Kind, s.Action)
		return object{"outcome": map[bool]string{true: "done", false: "not_done"}[done]}, err
	}
	// Whoever lost the lease does nothing from here on.
	if err := p.locked(func() error { return p.admit(s.Ticket) }); err != nil {
		return nil, err
	}
	w := work{Context: ctx, action: s.Action, ticket: s.Ticket, limit: s.Limit, progress: s.Progress, stay: s.Stay, report: func(report object) { say(r.ID, "report", report) }}
	var err error
	switch s.Kind {
	case "start":
		err = p.start(w)
	case "stop":
		err = p.stop(w)
	case "smoke":
		err = p.smoke(w)
	case "handover":
		err = p.handover(w)
	case "attach":
		err = p.attach(w)
	case "drain":
		err = p.drain(w)
	case "weigh":
		err = p.weigh(w)
	default:
		err = failed("it cannot do %s", s.Kind)
	}
	return object{"outcome": "done"}, err
}
