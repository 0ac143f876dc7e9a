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
	"sync"
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
	waitingUp = 100                    // notices of one receiver
)

// Teller tells receivers, each in its own order and at its own pace.
type Teller struct {
	redact    func(string) string
	receivers []*receiver
	cancel    context.CancelFunc
	telling   sync.WaitGroup
}

// receiver is one of them. failed is read after its goroutine has ended.
type receiver struct {
	*spec.Notify
	queue  chan Notice
	lost   int // that found no place in the queue
	failed error
}

// New begins to tell; Close ends it. redact blanks secrets in what is told.
func New(receivers []*spec.Notify, redact func(string) string) *Teller {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Teller{redact: redact, cancel: cancel}
	for _, n := range receivers {
		r := &receiver{Notify: n, queue: make(chan Notice, waitingUp)}
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

// Close waits until everybody was told, or ctx ends, and gives what could not be
// told.
func (t *Teller) Close(ctx context.Context) error {
	for _, r := range t.receivers {
		close(r.queue)
	}
	told := make(chan struct{})
	go func() { t.telling.Wait(); close(told) }()
	select {
	case <-told:
	case <-ctx.Done():
	}
	t.cancel()
	<-told
	var errs []error
	for _, r := range t.receivers {
		if r.lost > 0 {
			errs = append(errs, fmt.Errorf("%s: %d notices were not sent: it is too slow", r.Address(), r.lost))
		}
		if r.failed != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Address(), r.failed))
		}
	}
	return errors.Join(errs...)
}

func (t *Teller) run(ctx context.Context, r *receiver) {
	for n := range r.queue {
		err := r.tell(ctx, n)
		if ctx.Err() != nil && err != nil {
			err = errors.New("it did not hear everything in time")
		}
		if r.failed == nil || ctx.Err() == nil && err != nil {
			r.failed = err
		}
	}
}

// tell tries until the receiver has heard: a few times or, once it failed, once.
func (r *receiver) tell(ctx context.Context, n Notice) error {
	body, err := r.body(n)
	if err != nil {
		return err
	}
	pause := between
	for attempt := 1; ; attempt++ {
		err = r.post(ctx, body)
		if err == nil || attempt == attempts || r.failed != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		pause *= 2
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
