package exec_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/exec"
	"pleat/providers/host/agenttest"
	"pleat/spec"
)

// asBroken is the first argument by which the test binary is a program that
// breaks the rules of the protocol; the second is how.
const asBroken = "pleat-test-broken"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == asBroken {
		breakRules(os.Args[2])
		os.Exit(0)
	}
	agenttest.Main(m)
}

const secret = "hunter2hunter2"

// Answers that keep to the rules.
const (
	welcome = `{"id":1,"result":{"protocol":1,"program":"broken","abilities":["start","stop"]}}`
	done    = `{"id":2,"result":{"outcome":"done"}}`
)

// breakRules answers hello, and the second request by the word.
func breakRules(how string) {
	fmt.Fprintln(os.Stderr, "the token is", secret)
	lines := bufio.NewReader(os.Stdin)
	next := func() {
		if _, err := lines.ReadString('\n'); err != nil {
			os.Exit(0)
		}
	}
	next()
	if before, ok := strings.CutPrefix(how, "hello "); ok {
		fmt.Println(before)
		next()
	}
	fmt.Println(welcome)
	next()
	switch how {
	case "tells": // what it sees
		text := fmt.Sprintf("%q", append(os.Args, os.Environ()...))
		answer, _ := json.Marshal(map[string]any{"id": 2, "error": map[string]string{"kind": "failed", "message": text}})
		fmt.Println(string(answer))
		next()
	case "dies":
		os.Exit(3)
	case "hangs":
		next()
		select {}
	case "silent":
		os.Stdout.Close()
		next()
		select {}
	case "huge":
		for chunk := strings.Repeat("x", 1<<20); ; {
			fmt.Print(chunk)
		}
	case "reports":
		for {
			fmt.Println(`{"id":2,"report":{"kind":"waiting","text":"more"}}`)
		}
	case "twice":
		fmt.Println(done)
		fmt.Println(done)
		next()
		select {}
	case "cut":
		fmt.Print(strings.TrimSuffix(done, "}"))
	default:
		fmt.Println(how)
		next()
	}
}

func broken(t *testing.T, how string, timeout time.Duration) *exec.Orchestrator {
	return brokenOnce(t, how, timeout, func() {})
}

// brokenOnce calls called when a request to apply has been sent.
func brokenOnce(t *testing.T, how string, timeout time.Duration, called func()) *exec.Orchestrator {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := exec.NewOrchestrator(&spec.Orchestrator{Kind: "exec", Name: "broken", Program: &spec.Program{
		Command: []string{self, asBroken, how}, Timeout: timeout, Settings: map[string]spec.Text{"token": spec.Secret("x", secret)},
	}}, exec.Options{Dir: t.TempDir(), Redact: func(s string) string { return strings.ReplaceAll(s, secret, "(sensitive)") }, At: func(point string) {
		if point == "rollout.called" {
			called()
		}
	}})
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// stopStep is one that any of these programs says that it can do.
func stopStep() planner.Step {
	return planner.Step{ID: "s1", Action: &planner.Stop{
		Orchestrator: "orchestrator.exec.broken", Service: "users", Release: "1", Process: "web",
		Instances: []planner.Placement{{Instance: "web.1", Host: "a"}},
	}}
}

// TestBrokenApply: whatever a program does to an apply, it is an error that says
// whose and what, and never done. It is unknown where something may be done.
func TestBrokenApply(t *testing.T) {
	for name, c := range map[string]struct {
		how     string
		want    string
		unknown bool
	}{
		"dies":                  {"dies", "exit status 3", true},
		"hangs":                 {"hangs", "did not answer within", true},
		"closes its output":     {"silent", "closed its standard output", true},
		"writes without end":    {"huge", "a line of more than 8 MiB", true},
		"reports without end":   {"reports", "more than 10000 reports", true},
		"is cut off":            {"cut", "ended without an answer", true},
		"writes no JSON":        {"what?", "no line of the protocol", true},
		"writes a list":         {"[]", "no line of the protocol", true},
		"writes two values":     {done + done, "no line of the protocol", true},
		"answers late":          {`{"id":1,"result":{"outcome":"done"}}`, "answered request 1", true},
		"answers early":         {`{"id":3,"result":{"outcome":"done"}}`, "answered request 3", true},
		"has a field too many":  {`{"id":2,"result":{"outcome":"done"},"really":true}`, "really", true},
		"says nothing":          {`{"id":2}`, "exactly one of", true},
		"says both":             {`{"id":2,"result":{"outcome":"done"},"error":{"kind":"failed","message":"x"}}`, "exactly one of", true},
		"says done elsewhere":   {`{"id":2,"result":{"done":true}}`, "done", true},
		"gives an empty result": {`{"id":2,"result":{}}`, `answered ""`, true},
		"is not done":           {`{"id":2,"result":{"outcome":"not_done"}}`, `answered "not_done"`, true},
		"makes up an instance":  {`{"id":2,"report":{"kind":"instance","instance":"web.2","state":"up"}}`, "not about an instance", true},
		"makes up a state":      {`{"id":2,"report":{"kind":"instance","instance":"web.1","state":"great"}}`, "great", true},
		"makes up an error":     {`{"id":2,"error":{"kind":"funny","message":"who knows"}}`, "who knows", true},
		"does not know":         {`{"id":2,"error":{"kind":"unknown","message":"the line was cut"}}`, "the line was cut", true},
		"fails":                 {`{"id":2,"error":{"kind":"failed","message":"no room for ` + secret + `"}}`, "no room for (sensitive)", false},
		"finds it unwell":       {`{"id":2,"error":{"kind":"unwell","message":"web.1 is down"}}`, "what is to serve is not well", false},
		"is fenced":             {`{"id":2,"error":{"kind":"fenced","message":"fence 7 is known"}}`, "fence 7 is known", false},
		"speaks of tomorrow":    {`hello {"id":1,"result":{"protocol":2,"program":"p","abilities":["start","stop"]}}`, "speaks version 2", false},
		"cannot stop":           {`hello {"id":1,"result":{"protocol":1,"program":"p","abilities":["start"]}}`, "say that it can do stop", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := agenttest.Patience
			step := stopStep()
			if c.how == "hangs" {
				step.Limits.Run, timeout = time.Second, 5*time.Second
			}
			err := broken(t, c.how, timeout).Apply(t.Context(), planner.Ticket{Run: "r1"}, step, func(planner.Report) {})
			if err == nil {
				t.Fatal("it is done")
			}
			text := err.Error()
			if !strings.Contains(text, c.want) || !strings.Contains(text, "orchestrator.exec.broken") || strings.Contains(text, secret) {
				t.Errorf("the error is %q, want %q", text, c.want)
			}
			var program *exec.ProgramError
			if errors.As(err, &program) && (program.Detail() != "the token is (sensitive)" || !strings.Contains(text, "it said: the token is (sensitive)")) {
				t.Errorf("it does not say what the program said: %q, %q", text, program.Detail())
			}
			if unknown := errors.Is(err, planner.ErrOutcomeUnknown); unknown != c.unknown {
				t.Errorf("%v: unknown is %t, want %t", err, unknown, c.unknown)
			}
		})
	}
}

// TestAnsweredTwice: the second answer is no answer to what is asked next.
func TestAnsweredTwice(t *testing.T) {
	o := broken(t, "twice", agenttest.Patience)
	apply := func() error {
		return o.Apply(t.Context(), planner.Ticket{Run: "r1"}, stopStep(), func(planner.Report) {})
	}
	if err := apply(); err != nil {
		t.Fatal(err)
	}
	if err := apply(); err == nil {
		t.Error("it is done, and nobody said so")
	}
}

// TestBrokenReads: what is not there for certain is never taken for nothing.
func TestBrokenReads(t *testing.T) {
	for _, c := range []struct{ result, want string }{
		{`{}`, "no identity"},
		{`{"identity":"i","hosts":[],"instances":[]}`, "no host"},
		{`{"identity":"i","hosts":["a"],"instances":[{"service":"s","release":"1","process":"web","instance":"web.1","host":"a","sha256":"x","state":"fine"}]}`, `"fine"`},
		{`{"identity":"i","hosts":["a"],"instances":[{"service":"s","release":"1","process":"web","instance":"web.1","host":"b","sha256":"x","state":"up"}]}`, "no host"},
		{`{"identity":"i","hosts":["a"],"instances":[{"service":"s","process":"web","instance":"web.1","host":"a","sha256":"x","state":"up"}]}`, "full name"},
		{`{"identity":"i","hosts":["a"],"instances":[{"service":"s","release":"1","process":"web","instance":"web.1","host":"a","sha256":"x","state":"up","restarts":-1}]}`, "-1 times"},
		{`{"identity":"i","hosts":["a"],"instances":[` + strings.Repeat(`{"service":"s","release":"1","process":"web","instance":"web.1","host":"a","sha256":"x","state":"up"},`, 1) +
			`{"service":"s","release":"1","process":"web","instance":"web.1","host":"a","sha256":"x","state":"up"}]}`, "twice"},
	} {
		_, err := broken(t, `{"id":2,"result":`+c.result+`}`, agenttest.Patience).Observe(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, planner.ErrOutcomeUnknown) {
			t.Errorf("Observe of %s = %v, want %q", c.result, err, c.want)
		}
	}
	for _, word := range []string{"", "Done", "unknown", "maybe"} {
		o := broken(t, fmt.Sprintf(`{"id":2,"result":{"outcome":%q}}`, word), agenttest.Patience)
		if got, err := o.Probe(t.Context(), planner.Ticket{}, stopStep()); got != planner.Unknown || err == nil {
			t.Errorf("Probe of %q = %v, %v", word, got, err)
		}
	}
	o := broken(t, `{"id":2,"result":{"met":false}}`, agenttest.Patience)
	if a, err := o.Ask(t.Context(), planner.Ticket{}, &planner.NoInstances{Service: "s"}); err != nil || a.Met || a.Reason == "" {
		t.Errorf("Ask = %+v, %v", a, err)
	}
}

// TestNotCancelled: a program that does not listen is ended, and what it did is
// unknown.
func TestNotCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	err := brokenOnce(t, "hangs", 0, cancel).Apply(ctx, planner.Ticket{Run: "r1"}, stopStep(), func(planner.Report) {})
	if !errors.Is(err, planner.ErrOutcomeUnknown) || time.Since(began) > agenttest.Patience {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// TestNoProgram: nothing is done by what is not there.
func TestNoProgram(t *testing.T) {
	o := exec.NewOrchestrator(&spec.Orchestrator{Kind: "exec", Name: "none", Program: &spec.Program{Command: []string{"bin/none"}}}, exec.Options{Dir: t.TempDir()})
	err := o.Apply(t.Context(), planner.Ticket{}, stopStep(), func(planner.Report) {})
	if err == nil || errors.Is(err, planner.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "orchestrator.exec.none") {
		t.Errorf("Apply = %v", err)
	}
}
