package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
)

// idleLongest is how long a session that nobody uses is taken for alive: what
// is in between may forget it without a word.
const idleLongest = 5 * time.Second

// session is one that may serve another call after this one.
type session struct {
	*pgx.Conn
	opts conn.Options
	fit  bool      // preflight was passed
	keep bool      // nothing of an author's is prepared in it
	idle bool      // the call only looked, by statements of ours: there is nothing to clear
	used time.Time // last
}

// kept is the session between two calls; there is one at most. To make one
// takes the server longer than most steps.
type kept struct {
	mutex   sync.Mutex
	session *session
}

func (k *kept) swap(s *session) *session {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.session, s = s, k.session
	return s
}

// take gives the kept session, renewed, or one of its own where there is none
// that lives. Whoever takes it gives it back.
func (p *Provider) take(ctx context.Context, opts conn.Options) (*session, error) {
	if s := p.kept.swap(nil); s != nil {
		if time.Since(s.used) < idleLongest && s.renew(ctx, opts) == nil {
			return s, nil
		}
		// It is given up; why it does not close is no matter of this call.
		_ = conn.Close(ctx, s.Conn)
	}
	c, err := conn.Open(ctx, p.db.URL, opts)
	if err != nil {
		return nil, err
	}
	return &session{Conn: c, opts: opts}, nil
}

// renew makes a kept session as good as a fresh one.
func (s *session) renew(ctx context.Context, opts conn.Options) error {
	clean := s.idle && s.opts == opts
	s.opts, s.keep, s.idle = opts, false, false
	if clean {
		return nil
	}
	return conn.Renew(ctx, s.Conn, opts)
}

// give keeps a session for the next call, or closes it: after an error, and
// where the next call might meet what an author's SQL has left.
func (p *Provider) give(ctx context.Context, s *session, failed error) error {
	if failed != nil || !s.keep || s.IsClosed() {
		return conn.Close(ctx, s.Conn)
	}
	s.used = time.Now()
	if other := p.kept.swap(s); other != nil {
		return conn.Close(ctx, other.Conn)
	}
	return nil
}

// Close ends the session that is kept between calls, also when ctx was
// cancelled. The provider may be used again afterwards.
func (p *Provider) Close(ctx context.Context) error {
	s := p.kept.swap(nil)
	if s == nil {
		return nil
	}
	return conn.Close(ctx, s.Conn)
}

// preflight looks at a session once.
func (w *work) preflight(ctx context.Context) error {
	if w.session.fit {
		return nil
	}
	if err := conn.Preflight(ctx, w.conn); err != nil {
		return err
	}
	if err := w.last.lookBack(ctx, w.conn); err != nil {
		return err
	}
	w.session.fit = true
	return nil
}
