package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/disk"
)

// instance is one instance's life. keep owns it; requests reach it through
// halt.
type instance struct {
	*Supervisor
	// mu is held while a change is recorded, so that each instance's changes are
	// told in their order. The supervisor's may be taken while it is held, not the
	// other way round: one instance does not wait for the disk of another.
	mu     sync.Mutex
	rec    record
	gone   bool          // it is not the supervisor's any more
	halted chan struct{} // closed once rec.Stop is set
	woken  chan struct{} // has room for one: it need not rest
	taken  *process      // that an earlier supervisor started; for keep
	marked int64         // how long the output was when that was last written down; for keep
}

func (s *Supervisor) instance(r record) *instance {
	return &instance{Supervisor: s, rec: r, halted: make(chan struct{}), woken: make(chan struct{}, 1)}
}

// view is what is told of it. Nobody changes it meanwhile.
func (i *instance) view() api.Instance {
	r := &i.rec
	return api.Instance{
		Ref: r.Ref, Process: r.Definition.Process, Host: i.Host, SHA256: r.Definition.SHA256,
		State: r.State, Error: r.Error, Address: address(i.Address, r.Port), PID: r.PID,
		Restarts: r.Restarts, Ended: r.Ended, Shaky: r.shaky(time.Now()), Key: r.Key, Checks: r.Definition.Checks, HTTP2: r.Definition.HTTP2, Handover: said(i.handovers(), i.rec.Ref),
		Role: said(i.roles(), i.rec.Ref),
	}
}

// said is what an instance said of itself in a file of that directory, "" for
// nothing.
func said(dir string, r api.Ref) string {
	f, err := os.Open(file(dir, "", r))
	if err != nil {
		return "" // it has said nothing
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, longestWord))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// longestWord is how much of what an instance says of itself is read.
const longestWord = 256

func (i *instance) path() string { return file(i.records(), ".json", i.rec.Ref) }

// record makes the state durable, then tells it. The other way round a crash
// in between would tell it twice. What somebody asked for, and that an instance has
// been up, is durable for good (disk.WriteJSON); what else became of it may be
// forgotten by a power loss, which takes the process with it (disk.ReplaceJSON). The
// mutex is held.
func (i *instance) record(write func(path string, v any) error) error {
	if err := write(i.path(), i.rec); err != nil {
		return err
	}
	i.Changed(i.rec.Ref, i.rec.State == planner.Up)
	return i.tell()
}

func (i *instance) tell() error {
	e := api.Event{
		At: time.Now().UTC(), Ref: i.rec.Ref, Process: i.rec.Definition.Process, Host: i.Host,
		State: i.rec.State, Error: i.rec.Error, Key: i.rec.key(),
	}
	if i.rec.resting() {
		e.Error = "" // told with its end
	}
	_, err := i.Events.Append(e)
	return err
}

// snapshot is the record at this moment.
func (i *instance) snapshot() record {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.rec
}

// become changes the state, unless the instance was asked to stop: then it is
// errHalted for every state but down, and down takes it off the list. A change
// that cannot be recorded holds all the same: what the processes do is true
// whether the disk is full or not.
func (i *instance) become(state planner.InstanceState, why error, change func(*record)) error {
	i.told.RLock()
	defer i.told.RUnlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.rec.Stop != nil && state != planner.Down {
		return errHalted
	}
	if !slices.Contains(allowed[i.rec.State], state) {
		return fmt.Errorf("an instance that is %s cannot become %s", i.rec.State, state)
	}
	i.rec.State, i.rec.Error = state, ""
	if why != nil {
		i.rec.Error = i.hidden.blank(why.Error())
	}
	change(&i.rec)
	err := i.settle()
	if err != nil {
		i.Log.Error("recording an instance", "instance", i.rec.Ref.String(), "state", state, "error", err)
	}
	return nil
}

// settle records the state, and forgets an instance that is down for good. The
// mutex is held.
func (i *instance) settle() error {
	write := disk.ReplaceJSON
	if i.rec.State == planner.Up {
		write = disk.WriteJSON
	}
	err := i.record(write)
	switch {
	case i.rec.State != planner.Down:
		return err
	case i.rec.Stop != nil:
		err = errors.Join(err, disk.Remove(i.path()), disk.Remove(file(i.handovers(), "", i.rec.Ref)), disk.Remove(file(i.roles(), "", i.rec.Ref)))
		i.forget(i) // from now on the files of that name may be another one's
		return err
	case i.rec.WasUp:
		return errors.Join(err, i.rest())
	}
	return err
}

// rest makes an instance that is down and will start again pending, before
// anybody can look: who asks what lives must not take it for gone. The mutex is
// held.
func (i *instance) rest() error {
	i.rec.State = planner.Pending
	return i.record(disk.ReplaceJSON)
}

// amend records facts that change no state.
func (i *instance) amend(change func(*record)) error {
	i.told.RLock()
	defer i.told.RUnlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	change(&i.rec)
	return disk.ReplaceJSON(i.path(), i.rec)
}

func unchanged(*record) {}

// halt asks the instance to end. The mutex is held.
func (i *instance) halt(o api.Stop) error {
	i.rec.Stop = &order{Stop: o, At: time.Now().UTC()}
	close(i.halted)
	if i.rec.State == planner.Down {
		defer i.forget(i)
		return disk.Remove(i.path())
	}
	if i.rec.resting() {
		i.rec.State, i.rec.Error = planner.Down, ""
		return i.settle()
	}
	i.rec.State, i.rec.Error = planner.Stopping, ""
	return i.record(disk.WriteJSON)
}
