package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"pleat/executor"
)

// sink is a file that gets every event, one JSON object a line.
type sink struct {
	file   *os.File
	failed error
}

// openSink creates the file; "" makes a sink that keeps nothing.
func openSink(name string) (*sink, error) {
	if name == "" {
		return &sink{}, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing events: %w", err)
	}
	return &sink{file: f}, nil
}

// write appends a record. The journal has it already, so one that cannot be
// written stops nothing: close reports it.
func (s *sink) write(r executor.Record) {
	if s.file == nil || s.failed != nil {
		return
	}
	if _, isProgress := r.Event.(executor.Progressed); isProgress {
		return
	}
	b, err := json.Marshal(r)
	if err == nil {
		_, err = s.file.Write(append(b, '\n'))
	}
	s.failed = err
}

func (s *sink) close() error {
	if s.file == nil {
		return nil
	}
	if err := errors.Join(s.failed, s.file.Close()); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	return nil
}
