package exec

import (
	"bytes"
	"strings"
	"sync"
)

// Of what a program writes to its standard error, the last of it is kept.
const (
	keptLines = 20
	keptBytes = 8 << 10
)

// tail is the end of what is written to it. It never fails.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps the end.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[max(0, len(b)-keptBytes):]...)
	t.text = t.text[max(0, len(t.text)-keptBytes):]
	return len(b), nil
}

// lines are the last ones.
func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimSpace(t.text)
	if len(text) == 0 {
		return nil
	}
	lines := strings.Split(strings.ToValidUTF8(string(text), "\uFFFD"), "\n")
	return lines[max(0, len(lines)-keptLines):]
}
