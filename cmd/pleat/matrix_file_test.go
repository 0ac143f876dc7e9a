package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pleat/planner"
)

// savesWhole kills `plan --out` at each point of writing, over no file and over
// an earlier one: what is there can be applied, or is the one before.
func (m *matrix) savesWhole(t *testing.T) {
	s := m.begin(t, worldNamed("W1"))
	file := filepath.Join(s.lane.dir, "saved.plan")
	for _, point := range elsewhere {
		for _, before := range [][]byte{nil, []byte("an earlier plan\n")} {
			s.killPlan(point, file, before)
		}
	}
	s.ends(s.lane.pleat("", "apply", file), exitDone)
	s.writer.stop()
	s.settled()
	s.finish()
}

// killPlan writes over what was before, and dies.
func (s *sequence) killPlan(point, file string, before []byte) {
	s.t.Helper()
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	if before != nil {
		if err := os.WriteFile(file, before, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.dies(s.lane.pleat(point, "plan", "--out", file))
	got, err := os.ReadFile(file)
	if os.IsNotExist(err) && before == nil || err == nil && bytes.Equal(got, before) {
		if point == "file.renamed" || point == "file.directory_synced" {
			s.t.Errorf("%s: the plan is not there", point)
		}
	} else if _, broken := planner.Decode(got); err != nil || broken != nil {
		s.t.Errorf("%s: %v, %v", point, err, broken)
	}
	s.forget()
}

// forget removes the temporary files of whoever was killed: nobody else does.
func (s *sequence) forget() {
	s.t.Helper()
	left, err := filepath.Glob(filepath.Join(s.lane.dir, ".saved.plan*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			s.t.Error(err)
		}
	}
}
