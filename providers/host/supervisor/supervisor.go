// Package supervisor keeps instances running on one host: it starts them, asks
// their checks, restarts those that were up and died, and stops them. Each
// instance runs in a session of its own and outlives the supervisor; the next
// one on the same directory takes it up again. An instance is in exactly one
// state, every change of it is recorded and told in order, and no two
// processes of one instance ever run at the same time.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/artifact"
	"pleat/providers/host/disk"
	"pleat/providers/host/eventlog"
)

// Config is what a supervisor works with. Everything is required.
type Config struct {
	Host      string // its name, in events
	Dir       string // holds instances/ and output/
	Address   string // on which instances listen
	Artifacts *artifact.Store
	Events    *eventlog.Log
	Backoff   func(restarts int) time.Duration
	// Changed is told every change of state, in order for each instance. It
	// must not block, nor call the supervisor.
	Changed func(r api.Ref, up bool)
	Log     *slog.Logger
}

// Supervisor keeps the instances of one directory.
type Supervisor struct {
	Config

	found    []*instance    // by New, for Run to keep
	arrivals chan *instance // to Run
	over     chan struct{}  // closed when Run takes no more

	hidden *hidden

	changing sync.RWMutex // read-locked by whatever changes something for a request
	frozen   bool         // a successor takes over; guarded by changing

	// told is read-locked while an instance's change is made and told, before the
	// instance's own mutex is: who has it for himself sees each change with its
	// event, or neither.
	told sync.RWMutex

	mu        sync.Mutex
	instances map[api.Ref]*instance
	ports     ports

	tasking sync.Mutex
	tasks   map[string]*task // by key
}

// New reads what an earlier supervisor left in the directory, and finds out
// which processes have ended since. Nothing is started or stopped before Run.
func New(c Config) (*Supervisor, error) {
	s := &Supervisor{
		Config:    c,
		arrivals:  make(chan *instance),
		over:      make(chan struct{}),
		instances: map[api.Ref]*instance{},
		tasks:     map[string]*task{},
		ports:     newPorts(),
	}
	for _, dir := range []string{s.records(), s.outputs(), s.handovers(), s.roles(), s.taskDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("opening the agent's directory: %w", err)
		}
	}
	for _, dir := range []string{s.Dir, s.records(), s.taskDir()} {
		if err := disk.Sweep(dir); err != nil {
			return nil, err
		}
	}
	var err error
	if s.hidden, err = openHidden(s.Dir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.loadTasks(); err != nil {
		return nil, err
	}
	if err := s.retell(); err != nil {
		return nil, err
	}
	// Not what is there when Run begins: what is put before that arrives by
	// itself, and an instance that is kept twice runs twice.
	s.found = slices.Collect(maps.Values(s.instances))
	for _, i := range s.found {
		if err := i.takeUp(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Supervisor) records() string { return filepath.Join(s.Dir, "instances") }
func (s *Supervisor) outputs() string { return filepath.Join(s.Dir, "output") }

// handovers is where instances say that they took over, each in a file of its own.
func (s *Supervisor) handovers() string { return filepath.Join(s.Dir, "handover") }

// roles is where instances say what they are in their cluster, in the same way.
func (s *Supervisor) roles() string { return filepath.Join(s.Dir, "role") }

func (s *Supervisor) load() error {
	entries, err := os.ReadDir(s.records())
	if err != nil {
		return fmt.Errorf("reading instances: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		i := s.instance(record{})
		if err := disk.ReadJSON(filepath.Join(s.records(), e.Name()), &i.rec); err != nil {
			return err
		}
		if i.rec.Stop != nil {
			close(i.halted)
		}
		s.instances[i.rec.Ref] = i
		if err := s.ports.keep(i.rec.Port); err != nil {
			s.Log.Warn("keeping a port that another agent has given too", "instance", i.rec.Ref.String(), "port", i.rec.Port, "error", err)
		}
	}
	return nil
}

// forget takes an instance off the list. Its mutex is held.
func (s *Supervisor) forget(i *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.gone = true
	delete(s.instances, i.rec.Ref)
	s.ports.leave(i.rec.Port)
}

// retell makes events of the changes that were recorded but, for a crash, not
// told.
func (s *Supervisor) retell() error {
	told := map[api.Ref]planner.InstanceState{}
	for _, e := range s.Events.Held() {
		told[e.Ref] = e.State
	}
	for _, r := range slices.SortedFunc(maps.Keys(s.instances), compare) {
		i := s.instances[r]
		// An old instance's last event may have been dropped from the log.
		if state, ok := told[r]; ok && state != i.rec.State || !ok && i.rec.State == planner.Pending {
			if err := i.tell(); err != nil {
				return err
			}
		}
		s.Changed(r, i.rec.State == planner.Up)
		if i.rec.State != planner.Down || i.rec.Stop == nil {
			continue
		}
		if err := disk.Remove(i.path()); err != nil {
			return err
		}
		s.forget(i)
	}
	return nil
}

func compare(a, b api.Ref) int {
	return strings.Compare(a.String(), b.String())
}

// Run keeps the instances until ctx ends, and leaves them running.
func (s *Supervisor) Run(ctx context.Context) {
	var keepers sync.WaitGroup
	for _, i := range s.found {
		keepers.Go(func() { i.keep(ctx) })
	}
	sweep := time.NewTicker(time.Hour)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			close(s.over)
			keepers.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ports.leaveAll()
			return
		case <-sweep.C:
			s.sweep()
		case i := <-s.arrivals:
			keepers.Go(func() { i.keep(ctx) })
		}
	}
}

// errMoved refuses changes while a successor takes the instances over. What was
// recorded is the successor's.
var errMoved = api.Errorf(api.CodeMoved, "the agent is being replaced")

// Freeze refuses every change from now on. Once Run has ended after that,
// nothing in the directory is written any more.
func (s *Supervisor) Freeze() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.frozen = true
}

// change begins a change that somebody asks for; the caller ends it where it could.
func (s *Supervisor) change() (end func(), err error) {
	s.changing.RLock()
	if s.frozen {
		s.changing.RUnlock()
		return nil, errMoved
	}
	return s.changing.RUnlock, nil
}

func (s *Supervisor) sweep() {
	living := map[string]bool{}
	s.mu.Lock()
	for r := range s.instances {
		living[label(r)] = true
	}
	s.mu.Unlock()
	s.tasking.Lock()
	forgotten := s.forgetTasks()
	s.tasking.Unlock()
	if forgotten != nil {
		s.Log.Warn("removing old tasks", "error", forgotten)
	}
	if err := prune(s.outputs(), time.Now().Add(-outputAge), living); err != nil {
		s.Log.Warn("removing old output", "error", err)
	}
}

// Put makes the instance be kept running. It returns once that is recorded.
// The same definition again does nothing, unless the instance never came up: then
// it is started once more; or it died and rests: then it rests no longer. Another
// definition for one that is there is refused with api.CodeConflict.
func (s *Supervisor) Put(r api.Ref, p api.Put) error {
	if err := valid(r, p.Definition); err != nil {
		return err
	}
	digest, err := p.Definition.Digest()
	if err != nil {
		return err
	}
	i, err := s.admit(record{Ref: r, Definition: p.Definition, Digest: digest, Key: p.Key, State: planner.Pending})
	if err != nil || i == nil {
		return err
	}
	select {
	case s.arrivals <- i:
		return nil
	case <-s.over:
		// It is recorded, and the next supervisor takes it up.
		return errMoved
	}
}

// admit records an instance that has to be begun; nil when there is nothing
// to begin.
func (s *Supervisor) admit(rec record) (*instance, error) {
	end, err := s.change()
	if err != nil {
		return nil, err
	}
	defer end()
	s.told.RLock()
	defer s.told.RUnlock()
	for {
		i, old, err := s.enter(rec)
		if err != nil {
			return nil, err
		}
		if old == nil {
			return s.entered(i)
		}
		old.mu.Lock()
		if old.gone { // in between
			old.mu.Unlock()
			continue
		}
		defer old.mu.Unlock()
		return s.again(old, rec)
	}
}

// enter puts an instance on the list, its mutex held; or gives the one that is there
// under its name.
func (s *Supervisor) enter(rec record) (i, old *instance, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.instances[rec.Ref]; old != nil {
		return nil, old, nil
	}
	if rec.Port, err = s.port(); err != nil {
		return nil, nil, err
	}
	i = s.instance(rec)
	i.mu.Lock() // nobody else has it
	s.instances[rec.Ref] = i
	return i, nil, nil
}

// entered records an instance that is on the list.
func (s *Supervisor) entered(i *instance) (*instance, error) {
	defer i.mu.Unlock()
	if err := i.record(disk.WriteJSON); err != nil {
		err = errors.Join(err, disk.Remove(i.path()))
		s.forget(i)
		return nil, err
	}
	return i, nil
}

// again is admit where there is an instance of that name. Its mutex is held.
func (s *Supervisor) again(old *instance, rec record) (*instance, error) {
	switch {
	case old.rec.failed():
	case old.rec.Stop != nil:
		return nil, api.Errorf(api.CodeConflict, "%s on %s is stopping", rec.Ref, s.Host)
	case old.rec.Digest == rec.Digest:
		if old.rec.resting() {
			select {
			case old.woken <- struct{}{}:
			default: // somebody asked already
			}
		}
		return nil, nil
	default:
		return nil, api.Errorf(api.CodeConflict, "%s on %s is there with another definition", rec.Ref, s.Host)
	}
	rec.Port = old.rec.Port
	i := s.instance(rec)
	if err := i.record(disk.WriteJSON); err != nil {
		return nil, errors.Join(err, disk.Remove(i.path()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old.gone = true
	s.instances[rec.Ref] = i
	return i, nil
}

// port is a free one. The mutex is held.
func (s *Supervisor) port() (int, error) {
	taken := map[int]bool{}
	for _, i := range s.instances {
		taken[i.rec.Port] = true // which never changes
	}
	return s.ports.take(s.Address, taken)
}

func valid(r api.Ref, d api.Definition) error {
	for _, name := range []string{r.Service, r.Release, r.Instance, d.Process} {
		if name == "" || len(name) > 64 {
			return api.Errorf(api.CodeInvalid, "instance %q: names have 1 to 64 bytes", r)
		}
	}
	if _, err := r.Application(); err != nil && len(d.DatabaseURLs) > 0 {
		return err
	}
	if len(d.Command) == 0 || d.Command[0] == "" {
		return api.Errorf(api.CodeInvalid, "instance %s: no command", r)
	}
	if _, err := signalNamed(d.Drain.Signal); err != nil {
		return err
	}
	if _, err := whom(d.User); err != nil {
		return err
	}
	for _, c := range d.Checks {
		if c.Interval <= 0 || c.Timeout <= 0 {
			return api.Errorf(api.CodeInvalid, "instance %s: %s check without interval or timeout", r, c.Kind)
		}
	}
	return nil
}

// Stop tells an instance to end and returns once that is recorded. One that is
// stopping or not there is done; one that is down is forgotten.
func (s *Supervisor) Stop(r api.Ref, o api.Stop) error {
	if _, err := signalNamed(o.Drain.Signal); err != nil {
		return err
	}
	end, err := s.change()
	if err != nil {
		return err
	}
	defer end()
	s.told.RLock()
	defer s.told.RUnlock()
	for {
		i := s.find(r)
		if i == nil {
			return nil
		}
		i.mu.Lock()
		if i.gone { // in between, and another one may be there
			i.mu.Unlock()
			continue
		}
		defer i.mu.Unlock()
		if i.rec.Stop != nil {
			return nil
		}
		return i.halt(o)
	}
}

// Instances lists what is there, in order of service, release and name, and
// gives the number of the newest event that the list includes.
func (s *Supervisor) Instances() ([]api.Instance, int64) {
	s.told.Lock()
	defer s.told.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]api.Instance, 0, len(s.instances))
	for _, r := range slices.SortedFunc(maps.Keys(s.instances), compare) {
		out = append(out, s.instances[r].view())
	}
	return out, s.Events.Seq()
}

// Output gives the last lines that the instance wrote since its latest start.
// It stays readable after the instance is gone.
func (s *Supervisor) Output(r api.Ref, lines int) ([]string, error) {
	out, err := output{file(s.outputs(), ".log", r)}.last(lines, s.outputBegins(r))
	return s.hidden.blankAll(out), err
}

func (s *Supervisor) outputBegins(r api.Ref) int64 {
	if i := s.find(r); i != nil {
		return i.snapshot().Output
	}
	return 0
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
