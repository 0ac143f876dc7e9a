package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"
)

// stop tells all instances to end, and kills what does not.
func (p *platform) stop(w work) error {
	signal, known := signals[w.Leave.Signal]
	if !known {
		return failed("there is no signal %s", w.Leave.Signal)
	}
	before, err := p.standing(w.action)
	if err == nil {
		err = before.enough(w.action)
	}
	if err != nil {
		return err
	}
	for _, one := range w.Instances {
		err := p.locked(func() error {
			i, there := p.find(w.action, one.Instance)
			pid := i.pid()
			if !there || pid == 0 {
				return nil
			}
			i.Stopping = true
			w.report(object{"kind": "instance", "instance": one.Instance, "state": "stopping"})
			return errors.Join(p.admit(w.ticket), write(i.file, i), send(pid, signal))
		})
		if err != nil {
			return err
		}
	}
	end := time.Now().Add(time.Duration(w.Leave.KillAfter) * time.Millisecond)
	for _, one := range w.Instances {
		if err := p.gone(w, one.Instance, end); err != nil {
			return err
		}
	}
	after, err := p.standing(w.action)
	if err != nil {
		return err
	}
	return after.still(before)
}

// unwell is that what comes after is not there, or did not stay.
func unwell(format string, args ...any) error {
	return &fault{Kind: "unwell", Message: fmt.Sprintf(format, args...)}
}

// standing is what a stop leaves of the process.
type standing struct {
	up    []string // others that are up
	down  []string // others of the release that comes after that are not
	going bool     // one of those to stop is up
}

// standing looks at nothing for a stop that nothing comes after.
func (p *platform) standing(a action) (s standing, err error) {
	if a.By == "" {
		return s, nil
	}
	all, err := p.instances()
	for _, i := range all {
		leaving := i.Release == a.Release && slices.ContainsFunc(a.Instances, func(one placed) bool { return one.Instance == i.Instance })
		up, name := i.state() == "up", i.Release+" "+i.Instance
		switch {
		case i.Service != a.Service || i.Process != a.Process:
		case leaving:
			s.going = s.going || up
		case up:
			s.up = append(s.up, name)
		case i.Release == a.By:
			s.down = append(s.down, name)
		}
	}
	return s, err
}

// enough refuses to leave fewer than the floor because of the release that comes
// after.
func (s standing) enough(a action) error {
	if !s.going || len(s.up) >= a.Floor || len(s.down) == 0 {
		return nil
	}
	return unwell("%d of %s %s would be up, and the floor is %d: %s is not", len(s.up), a.Service, a.Process, a.Floor, s.down[0])
}

// still tells which of that release was up before and is no more.
func (s standing) still(before standing) error {
	for _, name := range s.down {
		if slices.Contains(before.up, name) {
			return unwell("%s did not stay up", name)
		}
	}
	return nil
}

// gone waits for the end of an instance that was told to end, and forgets it.
func (p *platform) gone(w work, name string, end time.Time) error {
	i := p.record(w.Service, w.Release, name)
	for {
		pid := i.pid()
		if pid == 0 {
			break
		}
		if time.Now().After(end) {
			if err := send(pid, syscall.SIGKILL); err != nil {
				return err
			}
		}
		select {
		case <-w.Done():
			return &fault{Kind: "unknown", Message: "it was cancelled when it had told instances to end"}
		case <-time.After(look):
		}
	}
	return p.locked(func() error {
		if i.pid() != 0 { // somebody else started it again
			return nil
		}
		if _, there := p.find(w.action, name); there {
			w.report(object{"kind": "instance", "instance": name, "state": "down"})
		}
		for _, file := range []string{i.file, i.file + ".run", i.file + ".log", i.file + handedOver} {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}
