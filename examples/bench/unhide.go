package main

import (
	"context"
	"errors"
	"time"
)

// hiding is a change that takes a column out of sight which no writer uses, and
// is long from dropping it.
const hiding = header + `
change "it" {
  contract {
    soak = "0s"
    drop_column "users" "created" {
      hide = "1h"
    }
  }
}
`

// unhide times the way back from a column that somebody still reads: the whole
// command, under load. It is hidden again before each round.
func (b *bench) unhide(ctx context.Context) error {
	var all []float64
	err := b.populated(ctx, b.rows, func(d database) error {
		if err := b.prepare(ctx, d); err != nil {
			return err
		}
		for range b.rounds {
			took, err := b.unhideOnce(ctx, d)
			if err != nil {
				return err
			}
			all = append(all, milliseconds(took))
		}
		return nil
	})
	if err == nil {
		b.figure("unhide_ms", median(all), "ms")
	}
	return err
}

func (b *bench) unhideOnce(ctx context.Context, d database) (took time.Duration, err error) {
	const seen = "select count(*) from pg_attribute where attrelid = 'users'::regclass and attname = 'created'"
	if _, err := b.apply(ctx, d, hiding, "users.created"); err != nil {
		return 0, err
	}
	if n, err := value(ctx, d.url, seen); err != nil || n != 0 {
		return 0, errors.Join(err, errors.New("the column was not hidden"))
	}
	var u usage
	suffered, _, err := under(ctx, d, oldShape(), func() (err error) {
		u, err = b.pleat(ctx, d, hiding, "unhide", "--auto-approve", "it")
		return err
	})
	if err != nil {
		return 0, err
	}
	b.suffered = append(b.suffered, suffered)
	b.tellErrors("unhide", suffered)
	if n, err := value(ctx, d.url, seen); err != nil || n != 1 {
		return 0, errors.Join(err, errors.New("it ended well, and the column is not back"))
	}
	return u.wall, nil
}
