package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pleat/planner"
)

// answerTime is how long an agent has for what it does at once.
const answerTime = 15 * time.Second

// Options are what a client needs for an agent over TCP. The zero value does
// for a Unix socket.
type Options struct {
	Token string
	CA    []byte // PEM certificates that sign the agent's; nil = the system's
	// Answer is how long the agent has for what it does at once, and how often it is
	// asked whether it is there while it does what takes longer; default 15 s.
	Answer time.Duration
}

// Client talks to one agent. It may be used from several goroutines; there is
// nothing to close.
type Client struct {
	agent  string
	base   string
	token  string
	http   *http.Client
	answer time.Duration

	// lost counts calls that were to change something and were not answered: they
	// may still arrive. settled is how many of them cannot any more.
	lost, settled atomic.Int64
}

// NewClient makes a client of the agent at "unix:///path" or
// "https://host:port". It does not connect.
func NewClient(agent string, o Options) (*Client, error) {
	u, err := url.Parse(agent)
	if err != nil {
		return nil, fmt.Errorf("agent %q: %w", agent, err)
	}
	c := &Client{agent: agent, token: o.Token, answer: o.Answer}
	if c.answer == 0 {
		c.answer = answerTime
	}
	switch {
	case u.Scheme == "unix" && u.Path != "":
		c.base, c.token, c.http = "http://agent", "", &http.Client{Transport: overSocket(u.Path)}
		return c, nil
	case u.Scheme == "https" && u.Host != "":
		t, err := overTLS(o.CA)
		if err != nil {
			return nil, fmt.Errorf("agent %s: %w", agent, err)
		}
		c.base, c.http = "https://"+u.Host, &http.Client{Transport: t}
		return c, nil
	}
	return nil, fmt.Errorf("agent %q: want unix:///path or https://host:port", agent)
}

func overSocket(path string) *http.Transport {
	dialer := net.Dialer{}
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		IdleConnTimeout: 10 * time.Second,
	}
}

func overTLS(ca []byte) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the CA file holds no certificate")
		}
	}
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     10 * time.Second,
	}, nil
}

// Agent is the address that the client was made for.
func (c *Client) Agent() string { return c.agent }

// State reads everything that the agent knows. For a holder it stays true: no call
// of its own that went unanswered has an effect later.
func (c *Client) State(ctx context.Context) (State, error) {
	var s State
	if err := c.settle(ctx); err != nil {
		return s, err
	}
	return s, c.quick(ctx, http.MethodGet, "/v1/state", nil, &s)
}

// settle makes a call that comes after those that were lost: the agent takes none
// of them then.
func (c *Client) settle(ctx context.Context) error {
	lost := c.lost.Load()
	if _, holder := ctx.Value(fenceKey{}).(Fence); !holder || lost == c.settled.Load() {
		return nil
	}
	if err := c.Announce(ctx); err != nil {
		return err
	}
	c.settled.Store(lost)
	return nil
}

// HasArtifact tells whether the agent's store has the artifact.
func (c *Client) HasArtifact(ctx context.Context, sha256 string) (bool, error) {
	err := c.quick(ctx, http.MethodHead, "/v1/artifacts/"+sha256, nil, nil)
	var refused *Error
	if errors.As(err, &refused) && refused.Code == CodeUnknown {
		return false, nil
	}
	return err == nil, err
}

// PutArtifact uploads an artifact. The agent keeps it only if what arrived has
// that digest.
func (c *Client) PutArtifact(ctx context.Context, sha256 string, content io.Reader) error {
	return c.long(ctx, http.MethodPut, "/v1/artifacts/"+sha256, content, nil)
}

// PutInstance makes the agent keep an instance running. It returns once that
// is recorded; whether the instance comes up is told by events. The same
// definition again does nothing; another one is refused (CodeConflict).
func (c *Client) PutInstance(ctx context.Context, r Ref, p Put) error {
	return c.quick(ctx, http.MethodPut, instancePath(r), p, nil)
}

// StopInstance tells an instance to end, and returns once it was told.
// Stopping one that is stopping or not there does nothing.
func (c *Client) StopInstance(ctx context.Context, r Ref, s Stop) error {
	return c.quick(ctx, http.MethodPost, instancePath(r)+"/stop", s, nil)
}

// Output gives the last lines that an instance wrote since its latest start.
func (c *Client) Output(ctx context.Context, r Ref, lines int) ([]string, error) {
	var out []string
	return out, c.quick(ctx, http.MethodGet, instancePath(r)+"/output?lines="+strconv.Itoa(lines), nil, &out)
}

// Events lists the events after since that are still kept, those with that
// key where key is not empty.
func (c *Client) Events(ctx context.Context, since int64, key string) ([]Event, error) {
	var out []Event
	q := url.Values{"since": {strconv.FormatInt(since, 10)}, "key": {key}}
	return out, c.quick(ctx, http.MethodGet, "/v1/events?"+q.Encode(), nil, &out)
}

// Upgrade has the agent hand over to another version of itself, the artifact of
// that digest, which has to be in its store. It returns once that one answers;
// with an error the agent goes on as it was.
func (c *Client) Upgrade(ctx context.Context, sha256 string) (Upgraded, error) {
	var out Upgraded
	return out, c.call(ctx, http.MethodPost, "/v1/upgrade", Upgrade{SHA256: sha256}, &out)
}

// Follow calls f with each event after since, in order, without a gap and
// without a duplicate, until f or the connection fails or ctx ends.
func (c *Client) Follow(ctx context.Context, since int64, f func(Event) error) error {
	return c.attended(ctx, false, func(ctx context.Context) error { return c.follow(ctx, since, f) })
}

func (c *Client) follow(ctx context.Context, since int64, f func(Event) error) error {
	path := "/v1/events/follow?since=" + strconv.FormatInt(since, 10)
	resp, err := c.sendUntilMoved(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("reading an event of agent %s: %w", c.agent, err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return &UnreachableError{Agent: c.agent, Err: reason(err), Sent: true}
}

// Ask has the agent ask an instance a check's question, once, within the check's
// own time.
func (c *Client) Ask(ctx context.Context, r Ref, a Ask) (Answer, error) {
	var out Answer
	return out, c.long(ctx, http.MethodPost, instancePath(r)+"/ask", a, &out)
}

// Attach adds backends to the route on listen, and opens it where it is not
// open yet. A backend that is there already is done.
func (c *Client) Attach(ctx context.Context, listen string, a Attach) error {
	return c.quick(ctx, http.MethodPost, routePath(listen)+"/attach", a, nil)
}

// Detach takes backends out of the route at once; absent ones are done.
func (c *Client) Detach(ctx context.Context, listen string, d Detach) error {
	return c.quick(ctx, http.MethodPost, routePath(listen)+"/detach", d, nil)
}

// Drain takes backends out of the route and returns when their last request is
// finished or the time is over. It is refused (CodeFloor), and nothing is
// changed, when one of them serves and too few others do. Absent backends are done. The
// agent goes on draining when ctx ends.
func (c *Client) Drain(ctx context.Context, listen string, d Drain) (Drained, error) {
	var out Drained
	return out, c.long(ctx, http.MethodPost, routePath(listen)+"/drain", d, &out)
}

// Weigh spreads the requests of the route on listen, and says how they are
// spread then.
func (c *Client) Weigh(ctx context.Context, listen string, w Weigh) (planner.Split, error) {
	var out planner.Split
	return out, c.quick(ctx, http.MethodPut, routePath(listen)+"/split", w, &out)
}

// Hold keeps the new requests of the route on listen waiting, from now on for at
// most h.For, or lets go of them. Where the route is not open there are none.
func (c *Client) Hold(ctx context.Context, listen string, h Hold) error {
	return c.quick(ctx, http.MethodPut, routePath(listen)+"/hold", h, nil)
}

// Limit says what is taken of requests on listen, those that come from then on.
// Where the route is not open, it counts once it is.
func (c *Client) Limit(ctx context.Context, listen string, l Limit) error {
	return c.quick(ctx, http.MethodPut, routePath(listen)+"/limits", l, nil)
}

func instancePath(r Ref) string {
	return "/v1/instances/" + url.PathEscape(r.Service) + "/" + url.PathEscape(r.Release) + "/" + url.PathEscape(r.Instance)
}

func routePath(listen string) string { return "/v1/routes/" + url.PathEscape(listen) }

// quick is for what an agent does at once: one that takes longer is stuck.
func (c *Client) quick(ctx context.Context, method, path string, in, out any) error {
	bounded, cancel := context.WithTimeout(ctx, c.answer)
	defer cancel()
	err := c.call(bounded, method, path, in, out)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return c.silent(true)
	}
	return err
}

func (c *Client) silent(sent bool) error {
	return &UnreachableError{Agent: c.agent, Err: fmt.Errorf("no answer within %s", c.answer), Sent: sent}
}

// long is for what an agent may take its time for.
func (c *Client) long(ctx context.Context, method, path string, in, out any) error {
	return c.attended(ctx, true, func(ctx context.Context) error { return c.call(ctx, method, path, in, out) })
}

// attended calls f, which waits for the agent, and ends it once the agent answers
// nothing else either: it stands still, or its host does, and may never go on. changes
// tells whether what f asked for may have had its effect then.
func (c *Client) attended(ctx context.Context, changes bool, f func(context.Context) error) error {
	waiting, cancel := context.WithCancel(ctx)
	var still bool
	var looking sync.WaitGroup
	looking.Go(func() {
		if still = c.standsStill(waiting); still {
			cancel()
		}
	})
	err := f(waiting)
	cancel()
	looking.Wait()
	if err != nil && still && ctx.Err() == nil {
		return c.silent(changes)
	}
	return err
}

// standsStill returns once the agent takes too long to answer, or when ctx ends. What
// refuses or closes the connection is not still: who waits for it hears of that.
func (c *Client) standsStill(ctx context.Context) bool {
	tick := time.NewTicker(c.answer)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(ctx, c.answer)
		resp, err := c.send(bounded, http.MethodGet, "/v1/state", nil)
		late := err != nil && bounded.Err() != nil
		cancel()
		if err == nil {
			_ = resp.Body.Close() // nothing was read
		}
		if late {
			return ctx.Err() == nil
		}
	}
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.sendUntilMoved(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return &UnreachableError{Agent: c.agent, Err: err, Sent: true}
	}
	return nil
}

const (
	// moving is how long an agent may take to hand over to its successor.
	moving = 30 * time.Second
	// movingPause is between two attempts to find the successor.
	movingPause = 50 * time.Millisecond
)

// sendUntilMoved is send, again where an agent did nothing because its
// successor takes over, or because a call arrived first that was made later: the
// two were made at the same time, since somebody still waits for this one.
func (c *Client) sendUntilMoved(ctx context.Context, method, path string, in any) (*http.Response, error) {
	giveUp := time.After(moving)
	for {
		resp, err := c.send(ctx, method, path, in)
		var refused *Error
		_, once := in.(io.Reader)
		if !errors.As(err, &refused) || refused.Code != CodeMoved && refused.Code != CodeOvertaken || once {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-giveUp:
			return nil, err
		case <-time.After(movingPause):
		}
	}
}

// send returns an answer with status 2xx, or an error.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	body, err := encode(in)
	if err != nil {
		return nil, err
	}
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Store(true) },
	})
	req, err := http.NewRequestWithContext(traced, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	setFence(req)
	resp, err := c.http.Do(req)
	if err != nil && method != http.MethodGet && method != http.MethodHead {
		c.lost.Add(1)
	}
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &UnreachableError{Agent: c.agent, Err: reason(err), Sent: sent.Load()}
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

func encode(in any) (io.Reader, error) {
	switch v := in.(type) {
	case nil:
		return nil, nil
	case io.Reader:
		return v, nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	return bytes.NewReader(b), nil
}

// reason leaves out what http.Client and net put around an error: the method,
// a URL that nobody wrote, and the address, which is named already.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func refusal(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return err
	}
	e := &Error{}
	if json.Unmarshal(b, e) == nil && e.Code != "" {
		return e
	}
	for code, status := range statuses {
		if status == resp.StatusCode && code != CodeFloor {
			return Errorf(code, "%s", strings.TrimSpace(resp.Status+" "+string(b)))
		}
	}
	return Errorf(CodeInternal, "%s", strings.TrimSpace(resp.Status+" "+string(b)))
}
