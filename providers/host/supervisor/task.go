package supervisor

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/disk"
	"pleat/spec"
)

const (
	// taskGate is gate for what ends: the program's exit status is in a file once
	// there is one, whether the agent is there then or not. The file is opened by
	// the agent, since the program may be somebody else's.
	taskGate = `read -r go <&3 || exit 125; exec 3<&-; "$@" 4>&-; echo $? >&4`
	// taskAge is how long a task is known after it has begun.
	taskAge = 7 * 24 * time.Hour
	// taskOutput is how much of a task's output is given at once.
	taskOutput = 64 << 10
)

// task is what the agent must know of one: a file for each, without the
// definition and the secrets in it.
type task struct {
	Ref    api.Ref     `json:"ref"`
	Name   string      `json:"name"`
	Key    string      `json:"key"`
	PID    int         `json:"pid"`
	Began  string      `json:"began"` // as of an instance
	Until  time.Time   `json:"until"` // it is killed then
	Late   bool        `json:"late,omitempty"`
	Limits spec.Limits `json:"limits,omitzero"`
	Ended  bool        `json:"ended,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// taskGroup is the name of a task's control group.
func (s *Supervisor) taskGroup(key string) string {
	return Group(s.Dir, "task-"+filepath.Base(s.taskFile(key, "")))
}

func (s *Supervisor) taskDir() string { return filepath.Join(s.Dir, "tasks") }

// taskFile is a task's file with that ending.
func (s *Supervisor) taskFile(key, ending string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.taskDir(), hex.EncodeToString(sum[:16])+ending)
}

// loadTasks reads what an earlier supervisor ran, and forgets what is long over.
func (s *Supervisor) loadTasks() error {
	entries, err := os.ReadDir(s.taskDir())
	if err != nil {
		return fmt.Errorf("reading tasks: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		t := &task{}
		if err := disk.ReadJSON(filepath.Join(s.taskDir(), e.Name()), t); err != nil {
			return err
		}
		s.tasks[t.Key] = t
		if !t.Ended {
			s.bound(t)
		}
	}
	return s.forgetTasks()
}

// forgetTasks removes tasks that are long over.
func (s *Supervisor) forgetTasks() error {
	var errs []error
	for key, t := range s.tasks {
		if !t.Ended || time.Since(t.Until) < taskAge {
			continue
		}
		delete(s.tasks, key)
		for _, ending := range []string{".json", ".log", ".status"} {
			if err := os.Remove(s.taskFile(key, ending)); !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// bound kills a task that takes longer than it may.
func (s *Supervisor) bound(t *task) {
	time.AfterFunc(time.Until(t.Until), func() {
		end, err := s.changeTasks()
		if err != nil {
			return // it is the successor's
		}
		defer end()
		if s.tasks[t.Key] == t && !t.Ended {
			t.Late = true
			s.warnTask(t, s.end(t))
		}
	})
}

// changeTasks is change with the tasks locked.
func (s *Supervisor) changeTasks() (end func(), err error) {
	done, err := s.change()
	if err != nil {
		return nil, err
	}
	s.tasking.Lock()
	return func() { s.tasking.Unlock(); done() }, nil
}

func (s *Supervisor) warnTask(t *task, err error) {
	if err != nil {
		s.Log.Warn("ending a task", "task", t.Name, "ref", t.Ref.String(), "error", err)
	}
}

// RunTask starts a task. One that runs already or is done is left as it is; one
// that failed is run again. It returns once the task is recorded.
func (s *Supervisor) RunTask(t api.Task) error {
	if err := valid(t.Ref, t.Definition); err != nil {
		return err
	}
	run, err := s.prepareTask(t)
	if err != nil {
		return err
	}
	end, err := s.changeTasks()
	if err != nil {
		return err
	}
	defer end()
	for _, other := range s.tasks {
		if err := s.look(other); err != nil {
			return err
		}
		if !other.Ended && other.Key != t.Key && other.Ref == t.Ref && other.Name == t.Name {
			return api.Errorf(api.CodeConflict, "task %s of %s still runs for %s", t.Name, t.Ref, other.Key)
		}
	}
	if old := s.tasks[t.Key]; old != nil && (!old.Ended || old.Error == "") {
		return nil
	}
	return s.launchTask(t, run)
}

// prepareTask fills in what the task's command refers to. One that is for no
// instance has no address.
func (s *Supervisor) prepareTask(t api.Task) (prepared, error) {
	i := s.instance(record{Ref: t.Ref, Definition: t.Definition, Key: t.Key})
	if t.Beside {
		live := s.find(t.Ref)
		if live == nil || live.snapshot().State != planner.Up {
			return prepared{}, api.Errorf(api.CodeConflict, "%s is not up", t.Ref)
		}
		i.rec.Port = live.snapshot().Port
	}
	values := i.names()
	values["PLEAT_TASK"] = t.Name
	delete(values, "PLEAT_HANDOVER")
	delete(values, "PLEAT_ROLE")
	if !t.Beside {
		delete(values, "ADDR")
		delete(values, "PORT")
		delete(values, "PLEAT_INSTANCE")
	}
	argv, err := expandAll(t.Definition.Command, values)
	if err != nil {
		return prepared{}, api.Errorf(api.CodeInvalid, "task %s: %v", t.Name, err)
	}
	secrets, err := s.secrets(t.Definition)
	if err != nil {
		return prepared{}, api.Errorf(api.CodeInvalid, "task %s: %v", t.Name, err)
	}
	who, err := whom(t.Definition.User)
	if err != nil {
		return prepared{}, err
	}
	env, err := environment(t.Definition, who, secrets, values)
	if err != nil {
		return prepared{}, api.Errorf(api.CodeInvalid, "task %s: %v", t.Name, err)
	}
	dir, err := within(t.Definition)
	if err != nil {
		return prepared{}, api.Errorf(api.CodeInvalid, "task %s: %v", t.Name, err)
	}
	if err := s.Artifacts.Verify(t.Definition.SHA256); err != nil {
		return prepared{}, err
	}
	if argv[0], err = lookup(dir, argv[0]); err != nil {
		return prepared{}, api.Errorf(api.CodeInvalid, "task %s: %v", t.Name, err)
	}
	if err := who.introduce(s, t.Definition); err != nil {
		return prepared{}, err
	}
	return prepared{argv: argv, env: env, dir: dir, who: who}, nil
}

// launchTask starts the program behind the gate: it runs once it is recorded.
func (s *Supervisor) launchTask(t api.Task, run prepared) error {
	if err := os.Remove(s.taskFile(t.Key, ".status")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(s.taskFile(t.Key, ".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("opening the output: %w", err)
	}
	status, err := os.OpenFile(s.taskFile(t.Key, ".status"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return errors.Join(fmt.Errorf("opening the status: %w", err), out.Close())
	}
	group, err := bounded(s.taskGroup(t.Key), t.Definition.Limits)
	if err != nil {
		return errors.Join(api.Errorf(api.CodeInvalid, "task %s: %v", t.Name, err), out.Close(), status.Close())
	}
	p, open, err := fork(taskGate, "sh", run, run.who.who(), out, status)
	if err := errors.Join(err, out.Close(), status.Close()); err != nil {
		return err
	}
	if group != nil {
		if err := group.Add(p.pid); err != nil {
			return errors.Join(fmt.Errorf("limiting a task: %w", err), open.Close(), p.destroy(), group.Remove())
		}
	}
	next := &task{
		Ref: t.Ref, Name: t.Name, Key: t.Key, PID: p.pid, Began: p.started, Until: time.Now().Add(t.Timeout).UTC(),
		Limits: t.Definition.Limits,
	}
	if err := disk.WriteJSON(s.taskFile(t.Key, ".json"), next); err != nil {
		return errors.Join(err, open.Close(), p.destroy())
	}
	_, err = open.WriteString("go\n")
	if err := errors.Join(err, open.Close()); err != nil {
		return errors.Join(err, p.destroy())
	}
	s.tasks[t.Key] = next
	s.bound(next)
	return nil
}

// look finds out whether a task has ended, and how.
func (s *Supervisor) look(t *task) error {
	if t.Ended {
		return nil
	}
	ended, _ := process{pid: t.PID, started: t.Began}.ended()
	if !ended {
		return nil
	}
	overran, err := release(s.taskGroup(t.Key), t.Limits)
	s.warnTask(t, err)
	status, err := os.ReadFile(s.taskFile(t.Key, ".status"))
	none := errors.Is(err, os.ErrNotExist) || err == nil && len(status) == 0
	switch {
	case overran:
		t.Error = overrun(t.Limits).Error()
	case none && t.Late:
		t.Error = "it took longer than it may, and was killed"
	case none:
		t.Error = "it was killed"
	case err != nil:
		return err
	case strings.TrimSpace(string(status)) != "0":
		t.Error = "exit status " + strings.TrimSpace(string(status))
	}
	t.Ended = true
	return disk.WriteJSON(s.taskFile(t.Key, ".json"), t)
}

// end kills a task, and all that it started.
func (s *Supervisor) end(t *task) error {
	if err := s.look(t); err != nil || t.Ended {
		return err
	}
	return process{pid: t.PID, started: t.Began}.kill()
}

// EndTask kills the task of that key. It does not wait for its end.
func (s *Supervisor) EndTask(key string) error {
	end, err := s.changeTasks()
	if err != nil {
		return err
	}
	defer end()
	if t := s.tasks[key]; t != nil {
		return s.end(t)
	}
	return nil
}

// TaskState tells how it is with the task of that key, and what it wrote from an
// offset on.
func (s *Supervisor) TaskState(key string, from int64) (api.TaskState, error) {
	end, err := s.changeTasks()
	if err != nil {
		return api.TaskState{}, err
	}
	defer end()
	t := s.tasks[key]
	if t == nil {
		return api.TaskState{Status: api.TaskNone}, nil
	}
	if err := s.look(t); err != nil {
		return api.TaskState{}, err
	}
	out := api.TaskState{Status: api.TaskRunning, Error: t.Error}
	switch {
	case t.Ended && t.Error != "":
		out.Status = api.TaskFailed
	case t.Ended:
		out.Status = api.TaskDone
	}
	f, err := os.Open(s.taskFile(key, ".log"))
	if err != nil {
		return out, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, from, taskOutput))
	if end := bytes.LastIndexByte(b, '\n') + 1; s.hidden.any() && (end > 0 || !t.Ended) {
		b = b[:end] // half of a secret is not known for one
	}
	out.Output, out.Next = s.hidden.blank(string(b)), from+int64(len(b))
	return out, err
}
