package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"pleat/executor"
)

// Beats of a watcher: how often the line of a terminal is drawn anew, and how
// often a log says that a step still runs.
const (
	redraw    = 200 * time.Millisecond
	heartbeat = 10 * time.Second
)

// watcher shows a run: on a terminal one living line below the finished steps,
// elsewhere a line for each step and a heartbeat that says what is waited for.
type watcher struct {
	out   io.Writer
	tty   bool
	color bool
	width int
	clock func() time.Time

	mu      sync.Mutex
	total   int
	step    executor.StepChanged
	began   time.Time
	waiting string
	since   time.Time // of the current waiting
	rate    rate
	drawn   bool
	said    time.Time
	quit    chan struct{}
	ended   chan struct{}
}

// rate is how far a step is and how fast it goes.
type rate struct {
	executor.Progressed
	first time.Time
	from  int64
	last  time.Time
}

// newWatcher shows on out; Close ends it.
func newWatcher(out io.Writer, tty, color bool, width int) *watcher {
	w := &watcher{out: out, tty: tty, color: color, width: width, clock: now, quit: make(chan struct{}), ended: make(chan struct{})}
	return w
}

// run draws until Close; call it as the watcher's own goroutine.
func (w *watcher) run() {
	defer close(w.ended)
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.tick()
		case <-w.quit:
			return
		}
	}
}

// Close stops drawing and leaves the cursor on a fresh line.
func (w *watcher) Close() {
	close(w.quit)
	<-w.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clear()
}

// Say prints a line that stays; any goroutine may.
func (w *watcher) Say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.say("%s", line)
}

// Watch shows one record.
func (w *watcher) Watch(r executor.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := r.Event.(type) {
	case executor.RunChanged:
		w.runChanged(e)
	case executor.StepChanged:
		w.stepChanged(e)
	case executor.InstanceChanged:
		if e.Error != "" {
			w.say("        %s %s %s on %s: %s", e.Service, e.Release, e.Instance, e.Host, e.Error)
		}
	case executor.Warned:
		w.say("        %s", w.paint(yellow, "warning: "+e.Text))
	case executor.Progressed:
		w.progressed(e)
	}
}

func (w *watcher) runChanged(e executor.RunChanged) {
	if e.Steps > 0 {
		w.total = e.Steps
	}
	if e.Status == executor.RollingBack {
		w.say("")
		w.say("%s", w.paint(red, "Rolling back: "+firstLine(e.Error)))
	}
}

func (w *watcher) stepChanged(e executor.StepChanged) {
	switch e.Status {
	case executor.StepStarted, executor.StepUndoing:
		w.step, w.began, w.waiting, w.rate, w.said = e, w.clock(), "", rate{}, w.clock()
	case executor.StepWaiting:
		if w.step.Step != e.Step {
			w.step, w.began, w.rate, w.said = e, w.clock(), rate{}, w.clock()
		}
		w.waiting, w.since = e.Detail, w.clock()
	case executor.StepDone:
		w.finish(e, w.took(e))
	case executor.StepSettled:
		w.finish(e, "done by an earlier run")
	case executor.StepDeferred:
		w.finish(e, w.paint(dim, "deferred: "+e.Detail))
	case executor.StepFailed:
		w.finish(e, w.paint(red, "FAILED"))
		w.say("        %s", w.paint(red, firstLine(e.Error)))
	case executor.StepUndone:
		w.finish(e, "undone: "+e.Detail)
	}
}

func (w *watcher) took(e executor.StepChanged) string {
	text := fmt.Sprintf("%.1fs", e.Took)
	if w.rate.Done > 0 && w.rate.Step == e.Step {
		text += fmt.Sprintf(", %s %s", grouped(w.rate.Done), w.rate.Unit)
	}
	return text
}

// finish prints the line that stays of a step.
func (w *watcher) finish(e executor.StepChanged, result string) {
	w.say("%s  %s", w.head(e), result)
	w.step, w.waiting, w.rate = executor.StepChanged{}, "", rate{}
}

func (w *watcher) head(e executor.StepChanged) string {
	return fmt.Sprintf("%3d/%d  %-8s  %-34s", e.Number, w.total, e.Kind, e.Title)
}

func (w *watcher) progressed(e executor.Progressed) {
	if w.rate.Step != e.Step {
		w.rate = rate{first: w.clock(), from: e.Done}
	}
	w.rate.Progressed, w.rate.last = e, w.clock()
}

// tick draws the living line, or beats.
func (w *watcher) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.step.Step == "" {
		return
	}
	if w.tty {
		w.draw()
		return
	}
	if w.clock().Sub(w.said) >= heartbeat {
		w.said = w.clock()
		w.say("%s  %s so far%s", w.head(w.step), age(w.clock().Sub(w.began)), w.state())
	}
}

func (w *watcher) draw() {
	w.clear()
	line := fmt.Sprintf("%s  %s%s", w.head(w.step), age(w.clock().Sub(w.began)), w.state())
	fmt.Fprint(w.out, w.paint(bold, cut(line, w.width-1)))
	w.drawn = true
}

// state is what the step does: how far it is, what it waits for.
func (w *watcher) state() string {
	if w.waiting != "" {
		return fmt.Sprintf(", waiting for %s (%s)", w.waiting, age(w.clock().Sub(w.since)))
	}
	if w.rate.Done == 0 {
		return ""
	}
	return ", " + w.rate.text()
}

// text is "61 %, 120,345 rows, 81,000 rows/s, 4s left".
func (r rate) text() string {
	text := grouped(r.Done) + " " + r.Unit
	if r.Total > 0 {
		text = fmt.Sprintf("%d %%, %s", min(100*r.Done/r.Total, 100), text)
	}
	seconds := r.last.Sub(r.first).Seconds()
	if seconds <= 0 || r.Done <= r.from {
		return text
	}
	speed := float64(r.Done-r.from) / seconds
	text += fmt.Sprintf(", %s %s/s", grouped(int64(speed)), r.Unit)
	if left := r.Total - r.Done; r.Total > 0 && left > 0 {
		text += ", " + age(time.Duration(float64(left)/speed*float64(time.Second))) + " left"
	}
	return text
}

// say prints a line that stays.
func (w *watcher) say(format string, args ...any) {
	w.clear()
	fmt.Fprintf(w.out, "%s\n", strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (w *watcher) clear() {
	if w.drawn {
		fmt.Fprint(w.out, "\r\x1b[K")
		w.drawn = false
	}
}

// The colours of a run.
const (
	bold, dim, red, yellow, green, reset = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[0m"
)

func (w *watcher) paint(color, s string) string {
	if !w.color {
		return s
	}
	return color + s + reset
}

// age prints a duration as a person says it.
func age(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// firstLine leaves the rest for the end of the run, which says all of it.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func cut(s string, width int) string {
	runes := []rune(s)
	if len(runes) <= width {
		return s
	}
	return string(runes[:width-1]) + "…"
}
