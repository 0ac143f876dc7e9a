package executor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/providers/fake"
	"pleat/spec"
)

// TestMachine has everything happen to a step, wherever it may be: each pair of a
// place and an event has its row in the table, once for a step whose outcome is
// probed and once for one that is applied again. Wherever that leaves the run, it
// comes to an end once nothing goes wrong any more, and what runs then is what the
// end says.
func TestMachine(t *testing.T) {
	rows := readRows(t, "testdata/machine.txt")
	for _, safety := range []planner.Safety{planner.Probed, planner.Idempotent} {
		for _, p := range places {
			for _, e := range happenings {
				var m *machine
				synctest.Test(t, func(*testing.T) {
					m = newMachine(p, e, safety)
					m.play()
				})
				rows.want(t, p.name, fmt.Sprintf("%s [%s]", e.name, safety), m.came)
				for _, b := range m.broken {
					t.Errorf("%s, %s [%s]: %s", p.name, e.name, safety, b)
				}
			}
		}
	}
	rows.wantNoMore(t)
}

// Each status that a step may have is a place of the table.
func TestMachineHasEachStatus(t *testing.T) {
	for _, status := range constants(t, "StepStatus") {
		if !slices.ContainsFunc(places, func(p place) bool { return string(p.status) == status }) {
			t.Errorf("no place of the table is %s", status)
		}
	}
}

// The steps of a machine's plan: the one that things happen to is in the middle.
const (
	before = "service.users/r1/start/web.1"
	it     = "service.users/r1/start/web.2-3"
	after  = "service.users/r1/start/web.4"
)

// machine is a run on the fake in which one thing happens, once, in one place.
type machine struct {
	place  place
	event  event
	safety planner.Safety

	system  *fake.System
	fault   fake.Fault
	journal *memory
	read    int // entries that were looked at
	ticket  planner.Ticket
	stop    chan struct{}
	cancel  context.CancelFunc

	arrived  bool         // at the place
	happened bool         // the event
	over     bool         // nothing goes wrong any more
	lost     int          // answers in a row
	blind    bool         // probes fail
	doubted  bool         // probes cannot tell
	refused  error        // of what is written to the journal
	former   func() error // makes the call in hand as a former holder of the lease would
	last     executor.Status

	came   string
	broken []string
}

func newMachine(p place, e event, safety planner.Safety) *machine {
	m := &machine{place: p, event: e, safety: safety}
	m.system = fake.New(fake.Options{
		Orchestrator: orchestratorAt, Hosts: []string{"a"}, Artifacts: map[string]string{"r1": digest(1)},
		Script: func(planner.Step) fake.Fault { f := m.fault; m.fault = fake.Fault{}; return f },
	})
	m.journal = &memory{entries: map[string][]journal.Entry{}, writing: func() error { return m.refused }, written: m.written}
	m.renew()
	return m
}

// renew is another command, which has the lease from then on.
func (m *machine) renew() {
	m.ticket = planner.Ticket{Run: "run", Lease: "machine", Fence: m.ticket.Fence + 1}
	m.stop, m.refused = make(chan struct{}), nil
	m.sees()
	if err := m.system.Orchestrator().Announce(context.Background(), m.ticket); err != nil {
		m.breaks("%v", err)
	}
}

// sees ends what went wrong on the way.
func (m *machine) sees() { m.blind, m.doubted, m.lost = false, false, 0 }

func (m *machine) plan() *planner.Plan {
	start := func(id string, needs []string, names ...string) planner.Step {
		a := &planner.Start{Orchestrator: orchestratorAt, Service: "users", Release: "r1", Artifact: planner.Artifact{Path: "r1", SHA256: digest(1)}}
		a.Definition.Process = "web"
		for _, name := range names {
			a.Instances = append(a.Instances, planner.Placement{Instance: name, Host: "a"})
		}
		undo := &planner.Stop{Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: "web", Instances: a.Instances, Wait: true}
		return planner.Step{
			ID: id, Address: "service.users", Kind: planner.KindStart, Title: id, Cause: "-", Needs: needs, Action: a,
			Undo: &planner.Undo{Title: "stop it", Action: undo}, Safety: m.safety, Limits: planner.Limits{Evidence: time.Minute},
		}
	}
	steps := []planner.Step{start(before, nil, "web.1"), start(it, []string{before}, "web.2", "web.3"), start(after, []string{it}, "web.4")}
	if m.place.empty {
		return &planner.Plan{Kind: "apply", Steps: []planner.Step{checkpoint()}}
	}
	steps[1].Guards = []planner.Guard{&planner.Open{Gate: "calm", Inquiry: &spec.Inquiry{Kind: spec.InquiryFile}}}
	return &planner.Plan{Kind: "apply", Steps: steps, Releases: []planner.Release{{Service: "users", Version: "r1"}}}
}

func (m *machine) breaks(format string, args ...any) {
	m.broken = append(m.broken, fmt.Sprintf(format, args...))
}

// play brings the step to its place, has the event happen there, and then lets the
// run come to its end.
func (m *machine) play() {
	end := m.command(m.execute)
	if m.place.next && !m.arrived { // it is there while no command goes on
		m.renew()
		end = m.command(func(ctx context.Context, c executor.Config) (executor.Result, error) {
			m.arrive()
			return executor.Resume(ctx, c)
		})
	}
	if m.arrived && m.happened && m.event.then != nil {
		m.renew()
		end = m.command(m.event.then)
	}
	m.came = m.status() + ", " + end
	switch {
	case !m.arrived:
		m.came = "is never there"
	case !m.happened:
		m.came = "never comes"
	}
	m.over = true
	m.settles(end)
}

func (m *machine) execute(ctx context.Context, c executor.Config) (executor.Result, error) {
	return executor.Execute(ctx, c, journal.Run{ID: "run", Kind: "apply"})
}

// status is what is recorded of the step.
func (m *machine) status() string {
	if status := m.journal.last("run", it); status != "" {
		return status
	}
	return "planned"
}

// command is one process, and says how it ended.
func (m *machine) command(do func(context.Context, executor.Config) (executor.Result, error)) (end string) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(killed); !ok {
				panic(v)
			}
			end = "killed"
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m.cancel = cancel
	result, err := do(ctx, executor.Config{
		Plan: m.plan(), Journal: m.journal, Ticket: m.ticket, Stop: m.stop, Now: time.Now, Watch: m.watch,
		Providers: map[spec.Address]executor.Applier{orchestratorAt: lever{m}, "gate.calm": lever{m}},
	})
	return ended(result, err)
}

func ended(result executor.Result, err error) string {
	var unrecorded *executor.RecordError
	var fenced *conn.FencedError
	switch {
	case errors.Is(err, journal.ErrNotOpen):
		return "it has ended"
	case errors.As(err, &fenced):
		return "fenced off"
	case errors.As(err, &unrecorded) && unrecorded.Written:
		return "unrecorded"
	case errors.Is(err, errDown):
		return "not begun"
	case err != nil:
		return err.Error()
	}
	return string(result.Status)
}

// settles goes on with the run until it is closed, and looks at what there is.
func (m *machine) settles(end string) {
	for range 3 {
		if m.journal.open == nil {
			break
		}
		m.renew()
		end = m.command(executor.Resume)
	}
	if m.journal.open != nil {
		m.breaks("it does not come to an end: %s", end)
		return
	}
	// One that is put off may have taken effect in a run that was cut short.
	may, ok := map[string][]int{"complete": {4}, "rolled_back": {0}, "deferred": {1, 3}}[end]
	if live := len((&walker{system: m.system}).instances()); ok && !slices.Contains(may, live) {
		m.breaks("the run is %s, and there are %d instances", end, live)
	}
	for _, e := range m.journal.entries["run"] {
		if e.Step == after && !m.journal.has("run", it, "done") && !m.journal.has("run", it, "settled") && e.Status == "started" {
			m.breaks("the step after it was begun, and it is %s", m.status())
		}
	}
}

// arrive is where the event happens, or begins to.
func (m *machine) arrive() {
	if m.arrived || m.over {
		return
	}
	m.arrived = true
	m.sees()
	if m.event.now != nil {
		m.happened = true
		m.event.now(m)
	}
}

func (m *machine) written() {
	entries := m.journal.entries["run"]
	written := entries[m.read:]
	m.read = len(entries)
	for _, e := range written {
		if e.Step+" "+e.Status == m.place.written {
			m.arrive()
		}
	}
}

// watch sees where the run is, and the step wait.
func (m *machine) watch(r executor.Record) {
	if e, ok := r.Event.(executor.RunChanged); ok {
		if m.last = e.Status; !m.over && m.last == m.place.told {
			panic(killed{})
		}
	}
	if e, ok := r.Event.(executor.StepChanged); ok && m.place.waits && e.Step == it && e.Status == executor.StepWaiting {
		m.arrive()
	}
}

// lever is the fake, at which things happen, and the gate.
type lever struct{ *machine }

func (l lever) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	m := l.machine
	call := func() error { return m.system.Orchestrator().Apply(ctx, t, s, report) }
	m.former = func() error {
		t := t
		t.Fence--
		return m.system.Orchestrator().Apply(ctx, t, s, report)
	}
	if m.over {
		return call()
	}
	if !m.arrived && m.place.call == s.ID {
		if m.place.lead != nil {
			m.place.lead(m)
		}
		m.arrive()
	}
	if !m.arrived {
		if way := m.place.way[s.ID]; way != nil {
			return way(m, call)
		}
		return call()
	}
	if m.event.answer != nil && (s.ID == it || s.ID == it+"/undo") && (!m.happened || m.lost > 0) {
		m.happened = true
		return m.event.answer(m, call)
	}
	return call()
}

func (l lever) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error) {
	if l.blind {
		return planner.Unknown, errors.New("it cannot be seen")
	}
	if l.doubted {
		return planner.Unknown, nil
	}
	return l.system.Orchestrator().Probe(ctx, t, s)
}

func (l lever) Ask(context.Context, planner.Ticket, planner.Guard) (planner.Answer, error) {
	m := l.machine
	begun := m.journal.last("run", before) != ""
	if !m.arrived && (m.place.barred || begun && (m.place.shut || m.place.waits)) && !m.over {
		return planner.Answer{Reason: "an incident"}, nil
	}
	if m.arrived && !m.over && m.event.gate != nil {
		m.happened = true
		return m.event.gate()
	}
	return planner.Answer{Met: true}, nil
}
