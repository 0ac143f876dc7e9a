package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// filler is one way to fill users(first, last) from users(name).
type filler struct {
	name    string
	prepare func(context.Context, database) error
	fill    func(context.Context, database) error
	wrong   string // a query for how many rows are not right after it; "" where new ones never are
}

const workers = 4 // more than one does, on a machine that has the cores

// fillers are those that can be compared here.
func (b *bench) fillers() []filler {
	const wrong = "select count(*) from users where first is distinct from split_part(name, ' ', 1)"
	all := []filler{
		{"pleat", b.prepare, b.fillWith(""), wrong},
		{"pleat_workers", b.prepare, b.fillWith(fmt.Sprintf("workers = %d", workers)), wrong},
		{"bare_update", addBare, func(ctx context.Context, d database) error { return execute(ctx, d.url, bareFill) }, ""},
		{"bare_update_trigger", addBareTrigger, func(ctx context.Context, d database) error { return execute(ctx, d.url, bareFill) }, ""},
		{"bare_loop", addBare, fillBare, ""},
	}
	if b.options.pgroll != "" {
		start := func(ctx context.Context, d database) error { return b.rollStart(ctx, d, rollSplit) }
		all = append(all, filler{"pgroll", b.baseline, start,
			"select count(*) from users where _pgroll_new_first is distinct from split_part(name, ' ', 1)"})
	}
	return all
}

func (b *bench) fillWith(arguments string) func(context.Context, database) error {
	return func(ctx context.Context, d database) error {
		_, err := b.apply(ctx, d, splitSpec(arguments, later))
		return err
	}
}

func addBare(ctx context.Context, d database) error { return execute(ctx, d.url, bareSplit) }

// addBareTrigger has the server lock each row before it looks whether a trigger
// fires, as it does wherever two shapes are kept in step.
func addBareTrigger(ctx context.Context, d database) error {
	return execute(ctx, d.url, bareSplit+`; create function idle() returns trigger language plpgsql as 'begin return new; end';
		create trigger idle before update on users for each row when (false) execute function idle()`)
}

// fillBare knows that the keys have no gaps, and records nothing.
func fillBare(ctx context.Context, d database) error {
	const batch = 5000
	for from := int64(0); from < d.rows; from += batch {
		if err := execute(ctx, d.url, fmt.Sprintf("%s where id > %d and id <= %d", bareFill, from, from+batch)); err != nil {
			return err
		}
	}
	return nil
}

// filled is what one fill did.
type filled struct {
	rate           float64 // rows a second, of the whole command
	during, before suffering
	wrong          int64 // rows
}

// backfills compares rates, and what writers see meanwhile.
func (b *bench) backfills(ctx context.Context) error {
	if b.options.pgroll == "" {
		b.leftOut("backfill_vs_pgroll", "no pgroll")
	}
	seen := map[string][]filled{}
	fillers := b.fillers()
	for round := range b.rounds {
		for i := range fillers {
			// Who comes first changes with the round.
			f := fillers[(i+round)%len(fillers)]
			one, err := b.fillOnce(ctx, f)
			if errors.Is(err, errUnsupported) {
				if round == 0 {
					b.leftOut("backfill_"+f.name, err.Error())
				}
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			seen[f.name] = append(seen[f.name], one)
		}
	}
	b.tellRates(seen)
	b.tellWriters(fillers, seen)
	return nil
}

func (b *bench) fillOnce(ctx context.Context, f filler) (one filled, err error) {
	err = b.populated(ctx, b.rows, func(d database) error {
		if err := f.prepare(ctx, d); err != nil {
			return err
		}
		if one.before, err = b.undisturbed(ctx, d); err != nil {
			return err
		}
		var took time.Duration
		one.during, took, err = under(ctx, d, oldShape(), func() error { return f.fill(ctx, d) })
		if err != nil {
			return err
		}
		one.rate = float64(d.rows) / took.Seconds()
		if f.wrong != "" {
			one.wrong, err = value(ctx, d.url, f.wrong)
		}
		return err
	})
	return one, err
}

func (b *bench) tellRates(seen map[string][]filled) {
	for _, f := range b.fillers() {
		if len(seen[f.name]) > 0 {
			b.figure("backfill_"+f.name+"_rows_per_s", median(each(seen[f.name], filled.rows)), "rows/s")
		}
	}
	for _, r := range []struct{ name, ours, theirs string }{
		{"backfill_vs_pgroll", "pleat", "pgroll"},
		{"backfill_vs_pgroll_workers", "pleat_workers", "pgroll"},
		{"backfill_vs_bare", "pleat", "bare_update"},
		{"backfill_vs_bare_trigger", "pleat", "bare_update_trigger"},
		{"backfill_vs_bare_workers", "pleat_workers", "bare_update"},
		{"backfill_vs_bare_loop", "pleat", "bare_loop"},
	} {
		if ratios := against(seen[r.ours], seen[r.theirs]); len(ratios) > 0 {
			b.figure(r.name, median(ratios), "ratio")
		}
	}
}

func (f filled) rows() float64 { return f.rate }

// slower is how many times a write takes longer beside the fill.
func (f filled) slower() float64 { return f.during.p99.Seconds() / f.before.p99.Seconds() }

func (f filled) worst() float64 { return milliseconds(f.during.worst) }

// against compares what was measured in the same round.
func against(ours, theirs []filled) []float64 {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		ratios = append(ratios, ours[i].rate/theirs[i].rate)
	}
	return ratios
}

func each[T any](all []T, f func(T) float64) []float64 {
	out := make([]float64, len(all))
	for i, v := range all {
		out[i] = f(v)
	}
	return out
}

func (b *bench) tellWriters(fillers []filler, seen map[string][]filled) {
	for _, f := range fillers {
		all := seen[f.name]
		if len(all) == 0 {
			continue
		}
		b.figure("backfill_"+f.name+"_p99_vs_undisturbed", median(each(all, filled.slower)), "ratio")
		b.figure("backfill_"+f.name+"_worst_ms", median(each(all, filled.worst)), "ms")
		b.figure("backfill_"+f.name+"_errors", sum(all, func(f filled) int64 { return int64(f.during.errors) }), "writes")
		if f.wrong != "" {
			b.figure("backfill_"+f.name+"_wrong", sum(all, func(f filled) int64 { return f.wrong }), "rows")
		}
	}
	b.figure("writer_p99_vs_undisturbed", median(each(seen["pleat"], filled.slower)), "ratio")
	for _, name := range []string{"pleat", "pleat_workers"} {
		for _, f := range seen[name] {
			b.suffered = append(b.suffered, f.during)
		}
	}
}

func sum(all []filled, f func(filled) int64) float64 {
	var n int64
	for _, one := range all {
		n += f(one)
	}
	return float64(n)
}
