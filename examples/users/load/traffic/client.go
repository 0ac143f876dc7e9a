package traffic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// kept is how many of its own users a client remembers.
const kept = 50

// client is one user's device: a connection of its own, users of its own, and
// a memory of what it wrote, which must come back.
type client struct {
	Options
	caller  *caller
	shapes  *shapes
	record  *recorder
	number  int
	counter int
	random  *rand.Rand
	own     []int64        // oldest first
	names   map[int64]full // of own
}

func newClient(o Options, number int, s *shapes, r *recorder) *client {
	return &client{
		Options: o, caller: newCaller(o), shapes: s, record: r, number: number,
		random: rand.New(rand.NewPCG(o.Seed, uint64(number))),
		names:  map[int64]full{},
	}
}

// run sends a request at each of this client's moments until ctx is done. A
// client that is late sends at once; its moments stay where they are.
func (c *client) run(ctx context.Context, begin time.Time) {
	defer c.caller.close()
	each := time.Duration(float64(c.Clients) / c.Rate * float64(time.Second))
	due := begin.Add(each * time.Duration(c.number) / time.Duration(c.Clients))
	for ; await(ctx, due); due = due.Add(each) {
		// A request that is on its way is waited for, even at the end.
		c.once(context.WithoutCancel(ctx), due)
	}
}

// await returns at that moment, or false once ctx is done.
func await(ctx context.Context, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// once sends one request, checks its answer and records both.
func (c *client) once(ctx context.Context, due time.Time) {
	s := v1
	if !c.V1Only && c.random.IntN(2) == 0 && c.shapes.both(time.Now()) {
		s = v2
	}
	c.record.sent(time.Now())
	a, err := c.act(ctx, s)
	now := time.Now()
	c.record.answered(due, now, s.path, a, err)
	if a.release != "" {
		c.shapes.saw(a.release, now)
	}
	if err == nil && s.path == v2.path {
		c.shapes.used()
	}
}

// act is six reads, three updates and one new user in ten requests.
func (c *client) act(ctx context.Context, s shape) (answer, error) {
	choice := c.random.IntN(10)
	if choice == 0 || len(c.own) == 0 {
		return c.create(ctx, s)
	}
	id := c.own[c.random.IntN(len(c.own))]
	if choice <= 3 {
		return c.update(ctx, s, id)
	}
	if choice <= 6 && c.Known > 0 {
		known := 1 + c.random.Int64N(c.Known)
		return c.read(ctx, s, known, split(c.Name(known)))
	}
	return c.read(ctx, s, id, c.names[id])
}

func (c *client) create(ctx context.Context, s shape) (answer, error) {
	want := s.stored(c.next())
	a, got, err := c.ask(ctx, http.MethodPost, s.path, user{full: s.shown(want)})
	if err != nil {
		return a, err
	}
	c.remember(got.ID, want)
	return a, s.check(got.full, want)
}

func (c *client) update(ctx context.Context, s shape, id int64) (answer, error) {
	want := s.stored(c.next())
	a, got, err := c.ask(ctx, http.MethodPatch, s.path, user{id, s.shown(want)})
	if err != nil {
		c.forget(id) // written or not: nobody knows
		return a, err
	}
	c.names[id] = want
	return a, s.check(got.full, want)
}

func (c *client) read(ctx context.Context, s shape, id int64, want full) (answer, error) {
	a, got, err := c.ask(ctx, http.MethodGet, fmt.Sprintf("%s?id=%d", s.path, id), nil)
	if err != nil {
		return a, err
	}
	return a, s.check(got.full, want)
}

// user is the body of a request and of an answer.
type user struct {
	ID int64 `json:"id,omitempty"`
	full
}

func (c *client) ask(ctx context.Context, method, path string, body any) (answer, user, error) {
	var got user
	a, err := c.caller.call(ctx, method, path, body)
	if err == nil {
		err = a.read(&got)
	}
	return a, got, err
}

// check compares an answer in this shape with what was written.
func (s shape) check(got, want full) error {
	if got == s.shown(want) {
		return nil
	}
	return fmt.Errorf("wrong content: %q, written as %q", got, s.shown(want))
}

func (c *client) next() string {
	c.counter++
	return fresh(c.random, c.number, c.counter)
}

func (c *client) remember(id int64, name full) {
	c.own = append(c.own, id)
	c.names[id] = name
	if len(c.own) > kept {
		c.forget(c.own[0])
	}
}

func (c *client) forget(id int64) {
	delete(c.names, id)
	c.own = slices.DeleteFunc(c.own, func(own int64) bool { return own == id })
}
