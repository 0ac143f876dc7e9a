package host

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"pleat/providers/host/api"
)

const (
	// sorting is how long a line that was just written waits for older ones of
	// other hosts.
	sorting = 200 * time.Millisecond
	// reconnecting is between two attempts to reach an agent again.
	reconnecting = 500 * time.Millisecond
)

// Logs calls f with what the instances of all orchestrators wrote, without
// their secrets and merged by time, from one goroutine. An agent that does not
// answer is told to away; the others are read all the same. Without Follow it is
// an error at the end, with Follow it is asked again until ctx ends.
func Logs(ctx context.Context, all []*Provider, q api.LogQuery, f func(api.LogLine) error, away func(error)) error {
	ctx, cancel := context.WithCancel(ctx)
	m := &logMerge{query: q, f: f, away: away}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	for _, p := range all {
		for _, c := range p.fleet.Clients() {
			s := &logStream{client: c, query: q, redact: p.options.Redact, lines: make(chan api.LogLine), away: m.lost}
			m.streams = append(m.streams, s)
			reading.Go(func() { s.run(ctx) })
		}
	}
	if err := m.history(ctx); err != nil {
		return err
	}
	if !q.Follow {
		return errors.Join(m.missing...)
	}
	return m.live(ctx)
}

// logStream is what one agent tells.
type logStream struct {
	client *api.Client
	query  api.LogQuery
	redact func(string) string
	lines  chan api.LogLine // closed at the end
	away   func(error)
}

func (s *logStream) run(ctx context.Context) {
	defer close(s.lines)
	send := func(l api.LogLine) error {
		if !l.At.IsZero() {
			s.query.Since, s.query.Tail = l.At, -1 // where it goes on
		}
		l.Line = s.redact(l.Line)
		select {
		case s.lines <- l:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	answers := true
	for {
		err := s.client.Logs(ctx, s.query, func(l api.LogLine) error {
			answers = true
			return send(l)
		})
		if err == nil || ctx.Err() != nil {
			return
		}
		if answers {
			s.away(err)
			answers = false
		}
		// Nobody waits for what it wrote before.
		if send(api.LogLine{Live: true}) != nil || !s.query.Follow {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reconnecting):
		}
	}
}

// logMerge brings streams together.
type logMerge struct {
	query   api.LogQuery
	f       func(api.LogLine) error
	away    func(error)
	streams []*logStream

	mu      sync.Mutex
	missing []error
}

// lost is called by streams.
func (m *logMerge) lost(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missing = append(m.missing, err)
	if m.query.Follow {
		m.away(err)
	}
}

// history tells what was there when it was asked for.
func (m *logMerge) history(ctx context.Context) error {
	heads := map[*logStream]api.LogLine{}
	advance := func(s *logStream) {
		delete(heads, s)
		if l, ok := <-s.lines; ok && !l.Live {
			heads[s] = l
		}
	}
	for _, s := range m.streams {
		advance(s)
	}
	var last []api.LogLine
	for len(heads) > 0 {
		s := oldest(m.streams, heads)
		l := heads[s]
		if m.query.Tail < 0 {
			if err := m.f(l); err != nil {
				return err
			}
		} else if last = append(last, l); len(last) > m.query.Tail {
			last = last[1:]
		}
		advance(s)
	}
	for _, l := range last {
		if err := m.f(l); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// oldest is the stream whose head was written first.
func oldest(all []*logStream, heads map[*logStream]api.LogLine) *logStream {
	var first *logStream
	for _, s := range all {
		if l, ok := heads[s]; ok && (first == nil || l.At.Before(heads[first].At)) {
			first = s
		}
	}
	return first
}

// arrival is a line and when it came.
type arrival struct {
	line api.LogLine
	at   time.Time
}

// live tells what comes, each line after what was written before it, as far as
// that has come by then.
func (m *logMerge) live(ctx context.Context) error {
	all := make(chan api.LogLine)
	var passing sync.WaitGroup
	for _, s := range m.streams {
		passing.Go(func() {
			for l := range s.lines {
				select {
				case all <- l:
				case <-ctx.Done():
				}
			}
		})
	}
	defer passing.Wait()
	var held []arrival
	look := time.NewTicker(sorting / 4)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l := <-all:
			if !l.Live {
				held = append(held, arrival{l, time.Now()})
			}
		case <-look.C:
			slices.SortStableFunc(held, func(a, b arrival) int { return a.line.At.Compare(b.line.At) })
			for len(held) > 0 && time.Since(held[0].at) >= sorting {
				if err := m.f(held[0].line); err != nil {
					return err
				}
				held = held[1:]
			}
		}
	}
}
