package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// heldReader expands users while a transaction that has read it stays open.
func (b *bench) heldReader(ctx context.Context) error {
	o := operations()[0]
	for _, t := range b.tools() {
		seen, err := b.beside(ctx, t, o)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		name := "held_reader_worst_stall_ms"
		if t.name == "pleat" {
			b.suffered = append(b.suffered, seen)
		} else {
			name += "_" + t.name
		}
		b.figure(name, milliseconds(seen.worst), "ms")
		b.tellErrors(name, seen)
	}
	return nil
}

// beside is what writers see while the tool begins the change and the reader
// is there. That the tool does not come through is an error.
func (b *bench) beside(ctx context.Context, t tool, o operation) (seen suffering, err error) {
	if t.name == "bare" {
		o.bare = o.bare[:1] // what waits behind the reader, not the long UPDATE
	}
	err = b.populated(ctx, max(b.rows/10, smallest), func(d database) error {
		if err := t.prepare(ctx, d); err != nil {
			return err
		}
		return session(ctx, d.url, func(c *pgx.Conn) error {
			if _, err := c.Exec(ctx, "begin; select from users limit 1"); err != nil {
				return err
			}
			left := make(chan error, 1)
			go func() { left <- b.leave(ctx, c) }()
			seen, _, err = under(ctx, d, oldShape(), func() error { return t.start(ctx, d, o) })
			return errors.Join(err, <-left)
		})
	})
	return seen, err
}

// leave ends the reader's transaction when its time is over.
func (b *bench) leave(ctx context.Context, c *pgx.Conn) error {
	if err := wait(ctx, b.hold); err != nil {
		return err
	}
	_, err := c.Exec(ctx, "commit")
	return err
}

// budget is pleat's default for how long anybody waits behind a lock of its.
const budget = 100 * time.Millisecond

// stalls tells the worst that a writer has suffered from pleat, anywhere.
func (b *bench) stalls() error {
	if len(b.suffered) == 0 {
		return nil
	}
	var worst time.Duration
	for _, s := range b.suffered {
		worst = max(worst, s.worst)
	}
	b.figure("worst_stall_over_budget_ms", milliseconds(max(0, worst-budget)), "ms")
	return nil
}
