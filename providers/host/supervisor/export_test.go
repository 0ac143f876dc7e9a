package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pleat/providers/host/api"
)

// What the white-box tests see.
var (
	Allowed     = allowed
	Expand      = expand
	Prune       = prune
	SignalNamed = signalNamed
)

// Ports is ports for tests.
type Ports struct{ ports }

// NewPorts has given none yet.
func NewPorts() *Ports { return &Ports{newPorts()} }

// Take is take.
func (p *Ports) Take(address string, taken map[int]bool) (int, error) { return p.take(address, taken) }

// Give has the supervisor give ports from first to last only.
func (s *Supervisor) Give(first, last int) { s.ports.first, s.ports.last = first, last }

// OutputFile is an output for tests.
type OutputFile struct{ output }

// NewOutputFile is the output at path.
func NewOutputFile(path string) OutputFile { return OutputFile{output{path}} }

// Rotate is rotate.
func (o OutputFile) Rotate(limit int64) error { return o.rotate(limit) }

// Last is last.
func (o OutputFile) Last(lines int, from int64) ([]string, error) { return o.last(lines, from) }

// Writer is an instance that writes, for tests.
type Writer struct {
	t testing.TB
	i *instance
	f *os.File
}

// NewWriter writes to the output at path.
func NewWriter(t testing.TB, path string) *Writer {
	r := api.Ref{Service: "s", Release: "r", Instance: "web.1"}
	s := &Supervisor{Config: Config{Dir: filepath.Dir(path), Log: slog.New(slog.DiscardHandler)}}
	if err := os.MkdirAll(s.outputs(), 0o700); err != nil {
		t.Fatal(err)
	}
	w := &Writer{t: t, i: s.instance(record{Ref: r})}
	f, _, err := w.i.output().open()
	if err != nil {
		t.Fatal(err)
	}
	w.f = f
	t.Cleanup(func() { f.Close() })
	return w
}

// Say writes a line at that second.
func (w *Writer) Say(line string, second int) {
	w.t.Helper()
	_, err := w.f.WriteString(line + "\n")
	at := time.Unix(int64(second), 0)
	if err := errors.Join(err, os.Chtimes(w.f.Name(), at, at)); err != nil {
		w.t.Fatal(err)
	}
	w.i.mark()
}

// Rotate rotates, whatever the size is.
func (w *Writer) Rotate() {
	w.t.Helper()
	if err := w.i.output().rotate(1); err != nil {
		w.t.Fatal(err)
	}
}

// Read begins to read, the last lines first.
func (w *Writer) Read(tail int) *Reader {
	w.t.Helper()
	r, err := openLog(w.i.rec.Ref, w.i.output(), tail)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.f.Close() })
	return &Reader{w.t, r}
}

// Reader is a logReader for tests.
type Reader struct {
	t testing.TB
	r *logReader
}

// All gives the lines that are there, each behind its second.
func (r *Reader) All() []string {
	r.t.Helper()
	var out []string
	for {
		l, ok, err := r.r.next(false)
		if err != nil {
			r.t.Fatal(err)
		}
		if !ok {
			return out
		}
		out = append(out, fmt.Sprintf("%d %s", l.At.Unix(), l.Line))
	}
}
