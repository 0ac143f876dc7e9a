package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"pleat/executor"
	"pleat/spec"
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
	width func() int
	clock func() time.Time

	mu      sync.Mutex
	total   int
	step    executor.StepChanged
	began   time.Time
	doing   string    // "web.1 is starting"
	waiting string    // for what
	since   time.Time // of the current waiting
	rate    rate
	drawn   bool
	said    time.Time
	trouble string // what an instance ended with, until it is known what came of it
	failure string // why the last step failed
	heading string // of what is said next, if anything is
	quit    chan struct{}
	ended   chan struct{}
}

// newWatcher shows on out; Close ends it. width is asked for each time, since
// windows change theirs.
func newWatcher(out io.Writer, tty, color bool, width func() int) *watcher {
	return &watcher{out: out, tty: tty, color: color, width: width, clock: now, quit: make(chan struct{}), ended: make(chan struct{})}
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
	w.complain("")
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
		w.complain("")
		w.runChanged(e)
	case executor.GatesAsked:
		w.gatesAsked(e)
	case executor.StepChanged:
		w.complain(e.Error)
		w.stepChanged(e)
	case executor.InstanceChanged:
		w.complain("")
		w.instanceChanged(e)
	case executor.SessionEnded:
		w.complain("")
		w.remark(yellow, fmt.Sprintf("ended pid %d %s, idle in transaction for %s: it held %s", e.PID, e.Application, age(time.Duration(e.Idle*float64(time.Second))), e.Table))
	case executor.Wrote:
		w.complain("")
		w.remark(dim, e.Source+" | "+e.Line)
	case executor.Overrode:
		w.remark(yellow, fmt.Sprintf("window %s is overridden by %s: %s", e.Window, e.By, e.Reason))
	case executor.Warned:
		w.complain(e.Text)
		w.remark(yellow, "warning: "+e.Text)
	case executor.Progressed:
		w.rate = w.rate.to(e, w.clock())
	}
}

func (w *watcher) instanceChanged(e executor.InstanceChanged) {
	w.doing = fmt.Sprintf("%s is %s", e.Instance, e.State)
	if e.Error != "" {
		w.trouble = fmt.Sprintf("%s %s %s on %s: %s", e.Service, e.Release, e.Instance, e.Host, e.Error)
	}
}

// complain says what an instance ended with, unless the next thing to be said
// says it.
func (w *watcher) complain(next string) {
	if w.trouble != "" && !strings.Contains(next, w.trouble) {
		w.remark("", w.trouble)
	}
	w.trouble = ""
}

func (w *watcher) runChanged(e executor.RunChanged) {
	if e.Steps > 0 {
		w.total = e.Steps
	}
	if e.Status != executor.RollingBack {
		return
	}
	w.heading = "Rolling back"
	if e.Error != w.failure {
		w.heading += ": " + firstLine(e.Error)
		w.announce()
	}
}

// announce says the heading that is kept until something comes below it.
func (w *watcher) announce() {
	if text := w.heading; text != "" {
		w.heading = ""
		w.say("")
		w.say("%s", w.paint(red, text))
	}
}

func (w *watcher) stepChanged(e executor.StepChanged) {
	switch e.Status {
	case executor.StepStarted, executor.StepUndoing:
		w.begin(e)
	case executor.StepWaiting:
		if w.step.Step != e.Step {
			w.begin(e)
		}
		w.waiting, w.since = e.Detail, w.clock()
	case executor.StepDone:
		w.finish(e, "", w.took(e))
	case executor.StepSettled:
		w.finish(e, "", w.settled(e))
	case executor.StepDeferred:
		w.finish(e, dim, "deferred: "+e.Detail)
	case executor.StepFailed:
		w.failure = e.Error
		w.finish(e, red, "FAILED")
		w.remark(red, firstLine(e.Error))
		if e.Detail != "" {
			w.remark("", e.Detail)
		}
	case executor.StepUndone:
		w.finish(e, "", "undone: "+e.Detail)
	}
}

func (w *watcher) begin(e executor.StepChanged) {
	w.announce()
	w.step, w.began, w.said = e, w.clock(), w.clock()
	w.doing, w.waiting, w.rate = "", "", rate{}
}

func (w *watcher) took(e executor.StepChanged) string {
	text := fmt.Sprintf("%.1fs", e.Took)
	if phased := strings.Contains(w.rate.Unit, ", "); w.rate.Done > 0 && w.rate.Step == e.Step && !phased {
		text += fmt.Sprintf(", %s %s", grouped(w.rate.Done), w.rate.Unit)
	}
	return text
}

// settled says of a step that was found done which attempt had done it.
func (w *watcher) settled(e executor.StepChanged) string {
	if w.step.Step == e.Step {
		return fmt.Sprintf("%.1fs, found done after its answer was lost", w.clock().Sub(w.began).Seconds())
	}
	return "done by an earlier run"
}

// titleWidth is how wide the column of titles is.
const titleWidth = 34

// finish prints what stays of a step: a line or, on a terminal, more of them. A
// title that is too long for its column goes on below itself there, and a result
// that the line has no room for is below that.
func (w *watcher) finish(e executor.StepChanged, color, result string) {
	w.step = executor.StepChanged{}
	if !w.tty {
		w.say("%s  %s", w.head(e), w.paint(color, result))
		return
	}
	title := spec.Wrap(e.Title, titleWidth)
	e.Title = title[0]
	head := w.head(e)
	fits := utf8.RuneCountInString(head+"  "+result) < w.width()
	if fits {
		head += "  " + w.paint(color, result)
	}
	w.say("%s", head)
	for _, more := range title[1:] {
		w.say("%*s%s", utf8.RuneCountInString(w.label(e)), "", more)
	}
	if !fits {
		w.remark(color, result)
	}
}

func (w *watcher) head(e executor.StepChanged) string {
	return fmt.Sprintf("%s%-*s", w.label(e), titleWidth, e.Title)
}

// label is what comes before a step's title.
func (w *watcher) label(e executor.StepChanged) string {
	number := fmt.Sprintf("%3d/%d", e.Number, w.total)
	if e.Number == 0 { // it comes before the steps
		number = strings.Repeat(" ", utf8.RuneCountInString(number))
	}
	return fmt.Sprintf("%s  %-8s  ", number, e.Kind)
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

// draw replaces the living line, in one write so that it does not flicker.
func (w *watcher) draw() {
	line := fmt.Sprintf("%s  %s%s", w.head(w.step), age(w.clock().Sub(w.began)), w.state())
	if utf8.RuneCountInString(line) >= w.width() {
		line = "  " + strings.Join(strings.Fields(line), " ")
	}
	fmt.Fprint(w.out, "\r\x1b[K"+w.paint(bold, cut(line, w.width()-1)))
	w.drawn = true
}

// state is what the step does: how far it is, what it waits for.
func (w *watcher) state() string {
	if w.waiting != "" {
		return fmt.Sprintf(", waiting for %s (%s)", w.waiting, age(w.clock().Sub(w.since)))
	}
	if w.rate.Done > 0 {
		return ", " + w.rate.text()
	}
	if w.doing != "" {
		return ", " + w.doing
	}
	return ""
}

// remark says something about the step in hand, below its line and, on a
// terminal, broken between words.
func (w *watcher) remark(color, text string) {
	const indent = 8
	lines := []string{text}
	if w.tty {
		lines = spec.Wrap(text, w.width()-1-indent)
	}
	for _, l := range lines {
		w.say("%*s%s", indent, "", w.paint(color, l))
	}
}

// say prints a line that stays.
func (w *watcher) say(format string, args ...any) {
	w.announce()
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
	bold, dim, red, yellow, reset = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
)

// paint is for all that somebody else may have said, such as an instance.
func (w *watcher) paint(color, s string) string {
	s = safe(s)
	if !w.color || color == "" {
		return s
	}
	return color + s + reset
}
