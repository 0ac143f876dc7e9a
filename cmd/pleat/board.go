package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"pleat/planner"
	"pleat/spec"
)

const (
	// shortestInterval keeps a watcher from being a load.
	shortestInterval = 100 * time.Millisecond
	usualInterval    = time.Second
	usualHeight      = 24
)

// watchStatus shows the status again and again until it is interrupted.
func (a *app) watchStatus(ctx context.Context, w *world, interval time.Duration) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	b := &board{out: a.out, size: a.size, clock: now}
	_, b.tty = terminal(a.out)
	look := time.NewTicker(max(interval, shortestInterval))
	defer look.Stop()
	for {
		text, err := a.liveStatus(ctx, w)
		if ctx.Err() != nil {
			return &codeError{code: exitInterrupted}
		}
		if err != nil {
			text = a.unreadable(err)
		}
		if err := b.show(text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return &codeError{code: exitInterrupted}
		case <-look.C:
		}
	}
}

// size is that of the terminal, or 80 by 24.
func (a *app) size() (width, height int) {
	if fd, ok := terminal(a.out); ok {
		if width, height, err := term.GetSize(fd); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return a.width(a.out), usualHeight
}

// liveStatus is the status and all instances below it, and last what did not answer.
func (a *app) liveStatus(ctx context.Context, w *world) (string, error) {
	st, unknown, err := w.look(ctx, planner.ScopeOf(w.spec))
	if err != nil {
		return "", errors.Join(append([]error{err}, unknown.problems()...)...)
	}
	var b strings.Builder
	if err := a.writeStatus(ctx, &b, w, st, unknown); err != nil {
		return "", err
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	head := "\ninstance\thost\tstate\trequests\n"
	for _, o := range w.spec.Orchestrators {
		seen := st.Orchestrators[string(o.Address())]
		for _, i := range seen.Instances {
			fmt.Fprintf(t, "%s%s %s %s\t%s\t%s\t%s\n", head, i.Service, i.Release, i.Name, i.Host, i.State, requestsOf(i, st))
			head = ""
		}
	}
	err = t.Flush()
	for _, problem := range unknown.problems() {
		b.WriteString("\n" + a.unreadable(problem))
	}
	return b.String(), err
}

// unreadable says why something cannot be read: it may be back at the next look, and
// that is what one watches for.
func (a *app) unreadable(err error) string {
	return strings.Join(spec.Wrap("cannot be read: "+a.redact(err.Error()), a.width(a.out)-1), "\n") + "\n"
}

// requestsOf says whether an instance gets any.
func requestsOf(i planner.Instance, st *planner.State) string {
	for _, r := range st.Routers {
		for _, b := range r.Backends {
			if b.Service != i.Service || b.Release != i.Release || b.Instance != i.Name {
				continue
			}
			if b.Draining {
				return "draining"
			}
			return "yes"
		}
	}
	return "-"
}

// board is a text that is shown again when it changes: on a terminal in place,
// elsewhere below what was there.
type board struct {
	out   io.Writer
	tty   bool
	size  func() (width, height int)
	clock func() time.Time

	drawn int // lines on the terminal
	last  string
}

func (b *board) show(text string) error {
	if b.tty {
		return b.draw(text)
	}
	if text == b.last {
		return nil
	}
	b.last = text
	_, err := fmt.Fprintf(b.out, "── %s\n%s\n", b.clock().Format(time.RFC3339), text)
	return err
}

// draw replaces what is drawn, in one write so that it does not flicker. What
// does not fit is left out and said, since lines that scrolled away could not be
// replaced.
func (b *board) draw(text string) error {
	width, height := b.size()
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = append([]string{b.clock().Local().Format(time.TimeOnly) + " · Ctrl-C ends", ""}, lines...)
	if room := max(3, height-1); len(lines) > room {
		more := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("… and %d more lines", more))
	}
	var out strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", b.drawn)
	}
	for _, line := range lines {
		out.WriteString("\r\x1b[K" + cut(safe(line), width-1) + "\r\n")
	}
	out.WriteString("\x1b[J")
	b.drawn = len(lines)
	_, err := io.WriteString(b.out, out.String())
	return err
}
