package fleet

import (
	"context"
	"errors"
	"sync"

	"pleat/providers/host/api"
)

// ErrEnough is what f returns to end Follow well.
var ErrEnough = errors.New("enough")

// news is one event of a member, or the end of its events.
type news struct {
	from  Member
	event api.Event
	err   error
}

// Follow calls f, from one goroutine, with what happens on the members after
// they were read; events of one member come in order, each once. It returns
// nil after ErrEnough, otherwise f's error, the context's, or that of an agent
// that stayed away.
func Follow(ctx context.Context, members []Member, f func(Member, api.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	all := make(chan news)
	for _, m := range members {
		following.Go(func() { m.publish(ctx, all) })
	}
	err := read(ctx, all, f)
	if errors.Is(err, ErrEnough) {
		return nil
	}
	return err
}

func read(ctx context.Context, all <-chan news, f func(Member, api.Event) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-all:
			if n.err != nil {
				return n.err
			}
			if err := f(n.from, n.event); err != nil {
				return err
			}
		}
	}
}

// publish sends the member's events, and at last why there are no more, for
// as long as somebody reads.
func (m Member) publish(ctx context.Context, all chan<- news) {
	send := func(n news) error {
		select {
		case all <- n:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := m.follow(ctx, func(e api.Event) error { return send(news{from: m, event: e}) })
	// Whoever does not read any more knows the reason.
	_ = send(news{from: m, err: err})
}

// follow goes on where it was when the agent comes back in time.
func (m Member) follow(ctx context.Context, f func(api.Event) error) error {
	seq := m.Seq
	return Patient(ctx, func(there func()) error {
		err := m.Follow(ctx, seq, func(e api.Event) error {
			seq = e.Seq
			return f(e)
		})
		var away *api.UnreachableError
		if errors.As(err, &away) && away.Sent {
			there() // until this moment
		}
		return err
	})
}
