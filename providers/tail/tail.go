// Package tail keeps the end of what programs write: how much a program writes is its
// own affair, and who started it must bear it.
package tail

import (
	"bytes"
	"strings"
	"sync"
)

// What is kept.
const (
	keptLines = 20
	keptBytes = 8 << 10
)

// Tail is the end of what is written to it. The zero value is empty. Several
// goroutines may use it.
type Tail struct {
	mu   sync.Mutex
	text []byte
	cut  bool // something came before
}

// Write keeps the end. It never fails.
func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[max(0, len(b)-keptBytes):]...)
	t.cut = t.cut || len(b) > keptBytes || len(t.text) > keptBytes
	t.text = t.text[max(0, len(t.text)-keptBytes):]
	return len(b), nil
}

// Lines are the last ones, as far as they are whole: half of a secret is not known for
// one. Of a line that is longer than all that is kept there is the end.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.text
	if _, rest, more := bytes.Cut(text, []byte("\n")); t.cut && more && len(bytes.TrimSpace(rest)) > 0 {
		text = rest
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return nil
	}
	lines := strings.Split(strings.ToValidUTF8(string(text), "\uFFFD"), "\n")
	return lines[max(0, len(lines)-keptLines):]
}
