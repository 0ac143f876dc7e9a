// Package notice tells people how runs go. It owns how they are reached; a
// receiver that is slow, dead or refuses keeps nobody: what could not be told is
// said at the end.
package notice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pleat/spec"
)

// Notice is what somebody is told.
type Notice struct {
	Occasion string    `json:"occasion"` // of spec.Occasions
	Run      string    `json:"run"`
	Kind     string    `json:"kind"`     // of the run: "apply", "rollback"
	Headline string    `json:"headline"` // of its plan
	Step     string    `json:"step,omitempty"`
	Text     string    `json:"text"`
	Who      string    `json:"who"`
	Host     string    `json:"host"`
	At       time.Time `json:"at"`
}

const (
	attempts  = 3
	between   = 500 * time.Millisecond // attempts, and twice that before the next
	hurried   = between / 5            // the same, once the teller closes
	waitingUp = 100                    // notices of one receiver
)

// Teller tells receivers, each in its own order and at its own pace.
type Teller struct {
	redact    func(string) string
	receivers []*receiver
	closing   chan struct{} // closed once nobody is told any more
	telling   sync.WaitGroup
}

// receiver is one of them. failed is read after its goroutine has ended.
type receiver struct {
	*spec.Notify
	queue  chan Notice
	cancel context.CancelFunc
	hears  atomic.Bool // it heard a notice, and failed none
	lost   int         // that found no place in the queue
	failed error
}

// New begins to tell; Close ends it. redact blanks secrets in what is told.
func New(receivers []*spec.Notify, redact func(string) string) *Teller {
	t := &Teller{redact: redact, closing: make(chan struct{})}
	for _, n := range receivers {
		ctx, cancel := context.WithCancel(context.Background())
		r := &receiver{Notify: n, queue: make(chan Notice, waitingUp), cancel: cancel}
		t.receivers = append(t.receivers, r)
		t.telling.Go(func() { t.run(ctx, r) })
	}
	return t
}

// Tell leaves a notice for those who want it. It does not wait.
func (t *Teller) Tell(n Notice) {
	n.Text, n.Headline, n.Step = t.redact(n.Text), t.redact(n.Headline), t.redact(n.Step)
	for _, r := range t.receivers {
		if !r.Wants(n.Occasion) {
			continue
		}
		select {
		case r.queue <- n:
		default:
			r.lost++
		}
	}
}

// Close waits until everybody was told, for so long for those who have heard
// notices before, and for no more than brief for those who may be dead. It gives
// what could not be told, in one line.
func (t *Teller) Close(patience, brief time.Duration) error {
	close(t.closing)
	for _, r := range t.receivers {
		close(r.queue)
	}
	told := make(chan struct{})
	go func() { t.telling.Wait(); close(told) }()
	over, short := time.NewTimer(patience), time.NewTimer(min(brief, patience))
	defer over.Stop()
	defer short.Stop()
	for waiting := true; waiting; {
		select {
		case <-told:
			waiting = false
		case <-short.C:
			t.giveUp(func(r *receiver) bool { return !r.hears.Load() })
		case <-over.C:
			t.giveUp(func(*receiver) bool { return true })
		}
	}
	t.giveUp(func(*receiver) bool { return true })
	var lost []string
	for _, r := range t.receivers {
		if r.lost > 0 {
			lost = append(lost, fmt.Sprintf("%s: %d notices were not sent: it is too slow", r.Address(), r.lost))
		}
		if r.failed != nil {
			lost = append(lost, fmt.Sprintf("%s: %s", r.Address(), r.failed))
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return errors.New(strings.Join(lost, "; "))
}

// giveUp ends what is still told to those.
func (t *Teller) giveUp(those func(*receiver) bool) {
	for _, r := range t.receivers {
		if those(r) {
			r.cancel()
		}
	}
}

func (t *Teller) run(ctx context.Context, r *receiver) {
	for n := range r.queue {
		err := t.tell(ctx, r, n)
		if ctx.Err() != nil && err != nil {
			err = errors.New("it did not hear everything in time")
		}
		if r.failed == nil || ctx.Err() == nil && err != nil {
			r.failed = err
		}
		r.hears.Store(r.failed == nil)
	}
}

// tell tries until the receiver has heard: a few times or, once it failed, once.
func (t *Teller) tell(ctx context.Context, r *receiver, n Notice) error {
	body, err := r.body(n)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err = r.post(ctx, body)
		if err == nil || attempt == attempts || r.failed != nil || ctx.Err() != nil {
			return err
		}
		t.pause(ctx, time.Duration(attempt))
	}
}

// pause is between attempts: a long one, or what is left of the time is short.
func (t *Teller) pause(ctx context.Context, attempt time.Duration) {
	select {
	case <-time.After(attempt * between):
		return
	case <-t.closing:
	case <-ctx.Done():
	}
	select {
	case <-time.After(attempt * hurried):
	case <-ctx.Done():
	}
}

func (r *receiver) body(n Notice) ([]byte, error) {
	if !r.Slack {
		return json.Marshal(n)
	}
	text := fmt.Sprintf("*%s* %s · %s\n%s", n.Occasion, n.Kind, n.Headline, n.Text)
	return json.Marshal(map[string]string{"text": text})
}

func (r *receiver) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL cannot be read")
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.Headers {
		req.Header.Set(name, value.Reveal())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return bare(err, r.Timeout)
	}
	defer resp.Body.Close()
	// What it says is nobody's, and the connection is used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode/100 != 2 {
		return errors.New(resp.Status)
	}
	return nil
}

// bare leaves the URL out, which is secret.
func bare(err error, timeout time.Duration) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", timeout)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
