package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// event is what the demo reads of one of pleat's.
type event struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// stepsDone counts, in a file of pleat's events, the steps that were done.
func stepsDone(file string) (int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("counting steps: %w", err)
	}
	n := 0
	for line := range bytes.Lines(content) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return 0, fmt.Errorf("counting steps: %w", err)
		}
		if e.Type == "step" && e.Status == "done" {
			n++
		}
	}
	return n, nil
}
