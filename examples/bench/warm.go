package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// warm keeps the release before, for longer than the bench takes.
var warm = way{name: "warm", block: "blue_green {}\n  keep_previous = \"1h\"", large: true}

// warmRollback is how long `pleat rollback` takes, with all instances, until a release
// that is kept has all requests again; those that they are taken from stop afterwards.
// It is an error where a process was started, or a step is none of the router's or a
// stop: the database has no part in it.
func (s *stage) warmRollback(ctx context.Context) (time.Duration, error) {
	if err := s.ready(ctx, s.options.instances); err != nil {
		return 0, err
	}
	s.next()
	spec := s.spec(warm, s.options.instances, smallCheck)
	if _, err := s.pleat(ctx, s.db, spec, "apply", "--auto-approve"); err != nil {
		return 0, err
	}
	before, err := s.processes()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := s.pleat(ctx, s.db, spec, "rollback", "--auto-approve", "--events", "back.jsonl"); err != nil {
		return 0, err
	}
	after, err := s.processes()
	if err != nil {
		return 0, err
	}
	if len(before) != 2*s.options.instances {
		return 0, fmt.Errorf("%d processes were there, of a release and the one that is kept", len(before))
	}
	for pid := range after {
		if !before[pid] {
			return 0, fmt.Errorf("process %d is new: the release was not kept", pid)
		}
	}
	back, err := routed(filepath.Join(s.dir, s.db.name, "back.jsonl"))
	if err != nil {
		return 0, err
	}
	_, err = s.pleat(ctx, s.db, spec, "apply", "--auto-approve", "--lift-hold", "the bench goes on with it")
	return back.Sub(began), err
}

// processes are the numbers of the agents' instances.
func (s *stage) processes() (map[int]bool, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, "agent*", "instances", "*.json"))
	if err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var record struct{ PID int }
		if err := json.Unmarshal(b, &record); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if record.PID > 0 {
			out[record.PID] = true
		}
	}
	return out, nil
}

// routed reads a run's events and tells when the last step of the router was done. It
// refuses steps that do more than to move requests and to stop what gets none.
func routed(file string) (last time.Time, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return last, err
	}
	for line := range bytes.Lines(b) {
		var e struct {
			At                        time.Time
			Type, Kind, Title, Status string
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return last, err
		}
		switch {
		case e.Type != "step" || e.Kind == "stop":
		case !slices.Contains([]string{"attach", "drain", "weight"}, e.Kind):
			return last, fmt.Errorf("the way back has the step %s %s", e.Kind, e.Title)
		case e.Status == "done":
			last = e.At
		}
	}
	if last.IsZero() {
		return last, errors.New("the way back had no step of the router's")
	}
	return last, nil
}
