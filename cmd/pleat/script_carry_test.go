package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"pleat/providers/postgres/pgtest"
)

// carryCommand deploys the other one of r1 and r2 while each of the COUNT instances
// that get requests has one in hand, which it answers only when it is let: half a
// second after a drain waits for it, or 20 with PLEAT_TEST_LONG. For as long all of
// them must be up, and each request must be answered by the release that has it.
// The instances write what they are asked to $SOCKETS/requests.
//
//	carry COUNT AGENT ...
func carryCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: carry COUNT AGENT ...")
	}
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	c := newCarried(ts)
	defer c.cancel()
	at := c.fill(count)
	release, _, _ := strings.Cut(at[0], " ")
	turn(ts, map[string]int{"r1": 0, "r2": 1}[release])
	beginCommand(ts, false, []string{"carry", "pleat", "apply", "--auto-approve", "--events", c.events})
	c.drained()
	for end := time.Now().Add(patience()); ; <-time.After(100 * time.Millisecond) {
		c.stillUp(at, args[1:])
		if time.Now().After(end) {
			break
		}
	}
	ts.Check(os.WriteFile(c.let, nil, 0o644))
	c.answered(release)
	finishCommand(ts, false, []string{"carry", "0"})
}

// patience is how long a drain is kept from its end.
func patience() time.Duration {
	if pgtest.Long() {
		return 20 * time.Second
	}
	return 500 * time.Millisecond
}

// carried is requests that nobody has answered.
type carried struct {
	ts       *testscript.TestScript
	ctx      context.Context
	cancel   context.CancelFunc
	requests string // the file that instances write to
	let      string // the file that they wait for
	events   string
	sent     int
	answers  chan answer
}

// answer is how a request ended.
type answer struct {
	body string
	err  error
}

func newCarried(ts *testscript.TestScript) *carried {
	sockets := sceneOf(ts).sockets
	c := &carried{
		ts: ts, requests: filepath.Join(sockets, "requests"), let: filepath.Join(sockets, "let"), events: ts.MkAbs("carry.jsonl"),
		answers: make(chan answer, 100),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, file := range []string{c.requests, c.let, c.events} { // of one before
		ts.Check(os.RemoveAll(file))
	}
	return c
}

// fill sends requests until count instances have one, and gives those: "r1 web.1".
func (c *carried) fill(count int) []string {
	url := "http://" + c.ts.Getenv("LISTEN") + "/slow?until=" + c.let
	for sent := 1; len(c.at()) < count; sent++ {
		if sent > cap(c.answers) {
			c.ts.Fatalf("all requests are at %v, want %d", c.at(), count)
		}
		c.sent = sent
		go func() { c.answers <- ask(c.ctx, url) }()
		until(c.ts, "a request at an instance", func() bool { return len(c.slow()) == sent })
	}
	return c.at()
}

// ask posts, so that nobody may send it twice.
func ask(ctx context.Context, url string) answer {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return answer{err: err}
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err == nil && got.StatusCode != http.StatusOK {
		err = errors.New(got.Status)
	}
	return answer{string(b), err}
}

// slow is who has the requests, one line each.
func (c *carried) slow() []string {
	b, err := os.ReadFile(c.requests)
	if !errors.Is(err, fs.ErrNotExist) {
		c.ts.Check(err)
	}
	var at []string
	for _, line := range strings.Split(string(b), "\n") {
		if instance, ok := strings.CutSuffix(line, " /slow"); ok {
			at = append(at, instance)
		}
	}
	return at
}

// at is who has any.
func (c *carried) at() []string {
	at := c.slow()
	slices.Sort(at)
	return slices.Compact(at)
}

var draining = regexp.MustCompile(`"kind":"drain".*"status":"waiting","detail":"requests in`)

// drained waits until a drain waits for requests.
func (c *carried) drained() {
	until(c.ts, "a drain that waits", func() bool {
		if sceneOf(c.ts).background["carry"].failed() {
			finishCommand(c.ts, false, []string{"carry", "0"})
		}
		b, err := os.ReadFile(c.events)
		return err == nil && draining.Match(b)
	})
}

// stillUp fails where one of those instances is not, or a request was answered.
func (c *carried) stillUp(at, agents []string) {
	live := sceneOf(c.ts).instances(c.ts, false, agents)
	for _, instance := range at {
		if !slices.Contains(live, instance+" up\n") {
			c.ts.Fatalf("%s has a request, and there are\n%s", instance, strings.Join(live, ""))
		}
	}
	if len(c.answers) > 0 {
		a := <-c.answers
		c.ts.Fatalf("a request was answered before its time: %q %v", a.body, a.err)
	}
}

// answered waits for all answers.
func (c *carried) answered(release string) {
	for range c.sent {
		if a := <-c.answers; a.err != nil || !strings.HasPrefix(a.body, release+" ") {
			c.ts.Fatalf("a request that %s had was answered %q %v", release, a.body, a.err)
		}
	}
}
