package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"pleat/providers/host/api"
)

const (
	// patience is how long an agent may be away while its events are
	// followed: long enough for a restart.
	patience = 15 * time.Second
	// pause is between two attempts to reach it again.
	pause = 200 * time.Millisecond
)

// ErrEnough is what f returns to end Follow well.
var ErrEnough = errors.New("enough")

// Follow calls f, from one goroutine, with what happens on the members after
// they were read; events of one member come in order, each once. It returns
// nil after ErrEnough, otherwise f's error, the context's, or that of an agent
// that stayed away.
func Follow(ctx context.Context, members []Member, f func(Member, api.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type news struct {
		from  Member
		event api.Event
		err   error
	}
	all := make(chan news)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	tell := func(n news) error {
		select {
		case all <- n:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, m := range members {
		following.Go(func() {
			err := m.follow(ctx, func(e api.Event) error { return tell(news{from: m, event: e}) })
			// When nobody listens any more, the reason is known already.
			_ = tell(news{from: m, err: err})
		})
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-all:
			err := n.err
			if err == nil {
				err = f(n.from, n.event)
			}
			if errors.Is(err, ErrEnough) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}

// follow goes on where it was when the agent comes back in time.
func (m Member) follow(ctx context.Context, f func(api.Event) error) error {
	seq, lost := m.Seq, time.Now()
	for {
		err := m.Follow(ctx, seq, func(e api.Event) error {
			seq = e.Seq
			return f(e)
		})
		var away *api.UnreachableError
		if !errors.As(err, &away) {
			return err
		}
		if away.Sent {
			// It was there until this moment.
			lost = time.Now()
		}
		if time.Since(lost) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
