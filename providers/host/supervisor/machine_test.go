package supervisor

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/disk"
	"pleat/providers/host/eventlog"
)

// machine is the whole of an instance's life. A row is what it is in: its state,
// then + where it was up before, then ! where it was asked to stop. A column is
// what comes: to become a state, or to be asked to stop. The answer is what it is
// in afterwards: "gone" is off the list, "no" an error and nothing changed, "halted"
// the word that it was asked to stop, and nothing changed. To ask twice is to ask once.
const machine = `
           pending  starting  up      stopping  down     stop
pending    no       starting  no      stopping  down     stopping
pending+   no       starting  no      stopping  pending  gone
pending!   halted   halted    halted  halted    gone     pending
pending+!  halted   halted    halted  halted    gone     pending
starting   no       no        up      stopping  down     stopping
starting+  no       no        up      stopping  pending  stopping
starting!  halted   halted    halted  halted    gone     starting
starting+! halted   halted    halted  halted    gone     starting
up         no       starting  no      stopping  down     stopping
up+        no       starting  no      stopping  pending  stopping
up!        halted   halted    halted  halted    gone     up
up+!       halted   halted    halted  halted    gone     up
stopping   no       no        no      no        down     stopping
stopping+  no       no        no      no        pending  stopping
stopping!  halted   halted    halted  halted    gone     stopping
stopping+! halted   halted    halted  halted    gone     stopping
down       pending  no        no      no        no       gone
down+      pending  no        no      no        no       gone
down!      halted   halted    halted  halted    no       down
down+!     halted   halted    halted  halted    no       down
`

// Each event has its answer in whatever an instance is in, and a state that the
// planner adds has none until it is written down here.
func TestEveryEventIsAnswered(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(machine), "\n")
	events := strings.Fields(rows[0])
	table := map[string][]string{}
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		table[cells[0]] = cells[1:]
	}
	states := instanceStates(t)
	if len(states)+1 != len(events) {
		t.Errorf("the columns are %v, the states %v", events, states)
	}
	for _, state := range states {
		for _, suffix := range []string{"", "+", "!", "+!"} {
			answers := table[string(state)+suffix]
			if len(answers) != len(events) {
				t.Errorf("%s%s has %d answers to %d events", state, suffix, len(answers), len(events))
				continue
			}
			for n, event := range events {
				if got := answer(t, state, suffix, event); got != answers[n] {
					t.Errorf("%s%s, %s: %s, want %s", state, suffix, event, got, answers[n])
				}
			}
		}
	}
}

// answer is what becomes of an instance.
func answer(t *testing.T, state planner.InstanceState, suffix, event string) string {
	i := inState(t, state, suffix)
	before := i.rec.State
	var err error
	if event == "stop" {
		err = i.Supervisor.Stop(i.rec.Ref, api.Stop{})
	} else {
		err = i.become(planner.InstanceState(event), nil, unchanged)
	}
	if err != nil && i.rec.State != before {
		t.Errorf("%s%s, %s: %v, and it became %s", state, suffix, event, err, i.rec.State)
	}
	switch _, listed := i.instances[i.rec.Ref]; {
	case errors.Is(err, errHalted):
		return "halted"
	case err != nil:
		return "no"
	case !listed:
		return "gone"
	}
	return string(i.rec.State)
}

// inState is an instance that is in that, recorded and on the list.
func inState(t *testing.T, state planner.InstanceState, suffix string) *instance {
	dir := t.TempDir()
	events, err := eventlog.Open(filepath.Join(dir, "events"), 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Close() })
	s := &Supervisor{
		Config:    Config{Host: "a", Dir: dir, Events: events, Changed: func(api.Ref, bool) {}, Log: slog.New(slog.DiscardHandler)},
		instances: map[api.Ref]*instance{},
	}
	for _, d := range []string{s.records(), s.outputs(), s.handovers(), s.roles()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	i := s.instance(record{
		Ref: api.Ref{Service: "s", Release: "r", Instance: "web.1"}, State: state, WasUp: strings.Contains(suffix, "+"),
	})
	if strings.Contains(suffix, "!") {
		i.rec.Stop = &order{}
	}
	s.instances[i.rec.Ref] = i
	if err := i.record(disk.WriteJSON); err != nil {
		t.Fatal(err)
	}
	return i
}

// instanceStates are those that the planner declares.
func instanceStates(t *testing.T) []planner.InstanceState {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "..", "planner", "state.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []planner.InstanceState
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "InstanceState" {
			return true
		}
		word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, planner.InstanceState(word))
		return true
	})
	return out
}
