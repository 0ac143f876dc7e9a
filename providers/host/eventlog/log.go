// Package eventlog keeps an agent's instance events: numbered, ordered,
// bounded, on disk. It owns the numbers; what an event means is its writer's.
package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"pleat/providers/host/api"
	"pleat/providers/host/disk"
)

// GoneError says that events that were asked for have been dropped.
type GoneError struct{ Since, Oldest int64 }

// Error names the oldest event that is kept.
func (e *GoneError) Error() string {
	return fmt.Sprintf("events after %d are gone: the oldest that is kept is %d", e.Since, e.Oldest)
}

// Log is the events of one agent. Several goroutines may use it.
type Log struct {
	path string
	keep int

	mu      sync.Mutex
	file    *os.File
	lines   int // in the file
	events  []api.Event
	seq     int64
	changed chan struct{} // closed and replaced as events are added

	written int64  // the number of the newest that is in the file
	next    *batch // of those in the file for which nobody has called yet
	syncing bool
	synced  *sync.Cond // syncing has ended
}

// batch is events that become durable by one call.
type batch struct {
	events []api.Event
	over   bool
	err    error
}

// Open reads the log at path, or starts an empty one. The newest keep events
// are held. A line that was torn by a crash, which can only be the last one,
// is dropped: nobody has seen it.
func Open(path string, keep int) (*Log, error) {
	l := &Log{path: path, keep: keep, changed: make(chan struct{}), next: &batch{}}
	l.synced = sync.NewCond(&l.mu)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	if err := l.load(b); err != nil {
		return nil, err
	}
	l.written = l.seq
	return l, l.rewrite()
}

func (l *Log) load(b []byte) error {
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			return nil
		}
		var e api.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("reading events: %s: %w", filepath.Base(l.path), err)
		}
		l.push(e)
		b = rest
	}
	return nil
}

func (l *Log) push(e api.Event) {
	l.events = append(l.events, e)
	if len(l.events) > l.keep {
		l.events = l.events[len(l.events)-l.keep:]
	}
	l.seq = e.Seq
}

// Append numbers the event and makes it durable before anybody can see it. What is
// appended while the disk is busy becomes durable together.
func (l *Log) Append(e api.Event) (api.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.lines >= 2*l.keep && l.written > l.seq { // they are not in memory yet
		l.synced.Wait()
	}
	if l.lines >= 2*l.keep {
		if err := l.rewrite(); err != nil {
			return e, err
		}
	}
	e.Seq = l.written + 1
	if err := l.write(e); err != nil {
		return e, fmt.Errorf("recording an event: %w", err)
	}
	mine := l.next
	mine.events = append(mine.events, e)
	for !mine.over {
		if l.syncing {
			l.synced.Wait()
			continue
		}
		l.sync()
	}
	return e, mine.err
}

// sync makes the next batch durable, and shows it. The mutex is held, but not while
// the disk works: that is when the batch after it gathers.
func (l *Log) sync() {
	b, file := l.next, l.file
	l.next, l.syncing = &batch{}, true
	l.mu.Unlock()
	err := file.Sync()
	l.mu.Lock()
	l.syncing, b.over = false, true
	defer l.synced.Broadcast()
	if err != nil {
		// What follows would have numbers that leave some out. The file is
		// written anew before anything else is added to it.
		b.err = fmt.Errorf("recording an event: %w", err)
		l.next.err, l.next.over, l.next = b.err, true, &batch{}
		l.written, l.lines = l.seq, 2*l.keep
		return
	}
	for _, e := range b.events {
		l.push(e)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) write(e api.Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	end, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(b, '\n')); err != nil {
		// What was half written would tear the next line too.
		return errors.Join(err, l.file.Truncate(end))
	}
	l.lines++
	l.written = e.Seq
	return nil
}

// rewrite leaves in the file what is held in memory.
func (l *Log) rewrite() error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, e := range l.events {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("encoding events: %w", err)
		}
	}
	if err := renameio.WriteFile(l.path, b.Bytes(), 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	if err := disk.SyncDir(filepath.Dir(l.path)); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("opening events: %w", err)
	}
	old := l.file
	l.file, l.lines = f, len(l.events)
	if old == nil {
		return nil
	}
	return old.Close()
}

// Seq is the number of the newest event, 0 when there was none ever.
func (l *Log) Seq() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}

// Since gives the events after seq, and a channel that is closed once there
// are more. A *GoneError says that some of them were dropped.
func (l *Log) Since(seq int64) ([]api.Event, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.seq - int64(len(l.events)) + 1
	if seq+1 < oldest {
		return nil, nil, &GoneError{Since: seq, Oldest: oldest}
	}
	if seq >= l.seq {
		return nil, l.changed, nil
	}
	return l.events[seq+1-oldest:], l.changed, nil
}

// Held gives every event that is kept, oldest first.
func (l *Log) Held() []api.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[:len(l.events):len(l.events)]
}

// Close ends writing. Followers that wait are not woken.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
