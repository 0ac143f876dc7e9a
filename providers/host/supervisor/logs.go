package supervisor

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"pleat/providers/host/api"
)

const (
	// logChunk is how much of a file is read at once.
	logChunk = 64 << 10
	// longestLine is where a line that does not end is broken.
	longestLine = 64 << 10
	// logLook is how often a follower looks for more.
	logLook = 100 * time.Millisecond
)

// Logs calls f with the lines that instances wrote, in order of time, and
// flush whenever nothing more is there at the moment. With Follow it goes on
// until f fails or ctx ends.
func (s *Supervisor) Logs(ctx context.Context, q api.LogQuery, f func(api.LogLine) error, flush func() error) error {
	l := &logs{Supervisor: s, query: q, f: f, readers: map[api.Ref]*logReader{}}
	defer l.close()
	if err := l.history(); err != nil {
		return err
	}
	if err := f(api.LogLine{Live: true}); err != nil || !q.Follow {
		return err
	}
	look := time.NewTicker(logLook)
	defer look.Stop()
	for {
		if err := flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		if err := l.poll(); err != nil {
			return err
		}
	}
}

// logs is one answer under way.
type logs struct {
	*Supervisor
	query   api.LogQuery
	f       func(api.LogLine) error
	readers map[api.Ref]*logReader
}

func (l *logs) close() {
	for _, r := range l.readers {
		_ = r.f.Close() // it was read from
	}
}

// open begins to read the instances that are asked for and not known yet, each
// with its last lines.
func (l *logs) open(tail int) ([]*logReader, error) {
	entries, err := os.ReadDir(l.outputs())
	if err != nil {
		return nil, err
	}
	var out []*logReader
	for _, e := range entries {
		r, ok := parseLabel(strings.TrimSuffix(e.Name(), ".log"))
		if !ok || !strings.HasSuffix(e.Name(), ".log") || l.readers[r] != nil || !wanted(l.query, r) {
			continue
		}
		reader, err := openLog(r, output{file(l.outputs(), ".log", r)}, tail)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed at this moment
		}
		if err != nil {
			return nil, err
		}
		l.readers[r] = reader
		out = append(out, reader)
	}
	return out, nil
}

func parseLabel(text string) (api.Ref, bool) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return api.Ref{}, false
	}
	for n, p := range parts {
		var err error
		if parts[n], err = url.PathUnescape(p); err != nil {
			return api.Ref{}, false
		}
	}
	return api.Ref{Service: parts[0], Release: parts[1], Instance: parts[2]}, true
}

func wanted(q api.LogQuery, r api.Ref) bool {
	process := r.Instance[:max(0, strings.LastIndexByte(r.Instance, '.'))]
	return (q.Service == "" || q.Service == r.Service) && (q.Process == "" || q.Process == process) && (q.Instance == "" || q.Instance == r.Instance)
}

// history tells what is there, merged.
func (l *logs) history() error {
	opened, err := l.open(l.query.Tail)
	if err != nil {
		return err
	}
	var heads logHeap
	for _, r := range opened {
		if err := l.advance(&heads, r); err != nil {
			return err
		}
	}
	var last []api.LogLine
	for len(heads) > 0 {
		h := heap.Pop(&heads).(logHead)
		if last = append(last, h.line); l.query.Tail < 0 {
			if err := l.f(h.line); err != nil {
				return err
			}
			last = nil
		}
		if len(last) > l.query.Tail && l.query.Tail >= 0 {
			last = last[1:]
		}
		if err := l.advance(&heads, h.from); err != nil {
			return err
		}
	}
	for _, line := range last {
		if err := l.f(line); err != nil {
			return err
		}
	}
	return nil
}

// advance puts the reader's next line among the heads.
func (l *logs) advance(heads *logHeap, r *logReader) error {
	for {
		line, ok, err := r.next(!l.query.Follow)
		if err != nil || !ok {
			return err
		}
		if line.At.After(l.query.Since) {
			heap.Push(heads, logHead{l.shown(line), r})
			return nil
		}
	}
}

func (l *logs) shown(line api.LogLine) api.LogLine {
	line.Host, line.Line = l.Host, l.hidden.blank(strings.ToValidUTF8(line.Line, "\uFFFD"))
	return line
}

// poll tells what has come since.
func (l *logs) poll() error {
	if _, err := l.open(-1); err != nil {
		return err
	}
	var heads logHeap
	for _, r := range l.readers {
		if err := l.advance(&heads, r); err != nil {
			return err
		}
	}
	for len(heads) > 0 {
		h := heap.Pop(&heads).(logHead)
		if err := l.f(h.line); err != nil {
			return err
		}
		if err := l.advance(&heads, h.from); err != nil {
			return err
		}
	}
	return nil
}

// logHead is a reader's next line.
type logHead struct {
	line api.LogLine
	from *logReader
}

type logHeap []logHead

func (h logHeap) Len() int { return len(h) }
func (h logHeap) Less(a, b int) bool {
	if h[a].line.At.Equal(h[b].line.At) {
		return compare(h[a].line.Ref, h[b].line.Ref) < 0
	}
	return h[a].line.At.Before(h[b].line.At)
}
func (h logHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }
func (h *logHeap) Push(x any)   { *h = append(*h, x.(logHead)) }
func (h *logHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// logReader reads the output of one instance from the oldest file to the one
// that is written to.
type logReader struct {
	ref   api.Ref
	o     output
	n     int // of the file
	f     *os.File
	off   int64  // up to where it was read
	rest  []byte // of that, what is no whole line yet
	marks []mark
}

// openLog begins so far back that there are at least as many lines; below 0:
// at the very beginning.
func openLog(r api.Ref, o output, tail int) (*logReader, error) {
	n, off := 0, int64(0)
	for try := range outputKept + 1 {
		start, lines, err := lastStart(o.file(try), tail)
		if errors.Is(err, fs.ErrNotExist) && try > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		n, off = try, start
		if tail >= 0 && lines >= tail {
			break
		}
		if tail >= 0 {
			tail -= lines
		}
	}
	l := &logReader{ref: r, o: o}
	return l, l.enter(n, off)
}

// lastStart is where the last lines of a file begin, and how many there are.
func lastStart(path string, lines int) (start int64, found int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil || lines < 0 {
		return 0, 0, err
	}
	end := stat.Size()
	if lines == 0 || end == 0 {
		return end, 0, nil
	}
	b := make([]byte, logChunk)
	for at := end; at > 0; {
		from := max(0, at-logChunk)
		part := b[:at-from]
		if _, err := f.ReadAt(part, from); err != nil {
			return 0, 0, err
		}
		for i := len(part) - 1; i >= 0; i-- {
			// The line end of the last line begins none.
			if part[i] != '\n' || from+int64(i) == end-1 {
				continue
			}
			if found++; found == lines {
				return from + int64(i) + 1, found, nil
			}
		}
		at = from
	}
	return 0, found + 1, nil
}

// enter goes on with that file.
func (r *logReader) enter(n int, off int64) error {
	f, err := os.Open(r.o.file(n))
	if err != nil {
		return err
	}
	marks, err := r.o.readMarks(n)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if r.f != nil {
		err = r.f.Close()
	}
	r.n, r.f, r.off, r.marks = n, f, off, marks
	return err
}

// next gives the next line; false when there is none at the moment. whole: what
// has no line end yet is a line as well.
func (r *logReader) next(whole bool) (api.LogLine, bool, error) {
	for {
		if i := bytes.IndexByte(r.rest, '\n'); i >= 0 {
			return r.take(i, i+1)
		}
		if len(r.rest) >= longestLine {
			return r.take(len(r.rest), len(r.rest))
		}
		chunk := make([]byte, logChunk)
		n, err := r.f.ReadAt(chunk, r.off)
		if err != nil && err != io.EOF {
			return api.LogLine{}, false, err
		}
		if n > 0 {
			r.rest, r.off = append(r.rest, chunk[:n]...), r.off+int64(n)
			continue
		}
		if more, err := r.turn(); err != nil || !more {
			if err == nil && whole && len(r.rest) > 0 {
				return r.take(len(r.rest), len(r.rest))
			}
			return api.LogLine{}, false, err
		}
	}
}

// turn goes on to the file after this one, or to what became of this one when
// it was rotated.
func (r *logReader) turn() (more bool, err error) {
	if r.n > 0 {
		return true, r.enter(r.n-1, 0)
	}
	stat, err := r.f.Stat()
	if err != nil || stat.Size() >= r.off {
		return false, err
	}
	return true, r.enter(1, r.off)
}

// take cuts a line off what was read.
func (r *logReader) take(length, used int) (api.LogLine, bool, error) {
	line := string(r.rest[:length])
	r.rest = r.rest[used:]
	stat, err := r.f.Stat()
	if err != nil {
		return api.LogLine{}, false, err
	}
	at := when(r.marks, r.off-int64(len(r.rest)), stat.ModTime().UTC())
	return api.LogLine{At: at, Ref: r.ref, Line: strings.TrimSuffix(line, "\r")}, true, nil
}
