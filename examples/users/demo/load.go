package main

import (
	"context"

	"pleat/examples/users/load/traffic"
)

// load is traffic that runs beside the play.
type load struct {
	stop func()
	done chan struct{}
	// What Run returned; to be read after done is closed.
	summary traffic.Summary
	err     error
}

// begin sends requests until end is called or ctx is done.
func begin(ctx context.Context, o traffic.Options) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.summary, l.err = traffic.Run(ctx, o)
	}()
	return l
}

// end waits for the answers in flight. A second call returns the same.
func (l *load) end() (traffic.Summary, error) {
	l.stop()
	<-l.done
	return l.summary, l.err
}
