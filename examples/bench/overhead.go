package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	overheadRounds  = 15
	overheadWriters = 4
	overheadWrites  = 1500 // of each writer in a round
)

// syncOverhead compares the processor time of the server on writes to a column
// that no sync is about: without any, with pleat's, and with pgroll's.
func (b *bench) syncOverhead(ctx context.Context) error {
	cpu := map[string][]float64{}
	rows := max(b.rows/10, smallest)
	err := b.populated(ctx, rows, func(plain database) error {
		return b.populated(ctx, rows, func(synced database) error {
			return b.populated(ctx, rows, func(rolled database) error {
				if err := b.installSyncs(ctx, synced, rolled); err != nil {
					return err
				}
				return b.compareWrites(ctx, cpu, map[string]database{"none": plain, "pleat": synced, "pgroll": rolled})
			})
		})
	})
	if err != nil {
		return err
	}
	b.figure("sync_cpu_overhead_percent", overhead(cpu["pleat"], cpu["none"]), "%")
	if b.options.pgroll != "" {
		b.figure("sync_cpu_overhead_percent_pgroll", overhead(cpu["pgroll"], cpu["none"]), "%")
	}
	b.figure("unrelated_writes_cpu_ms_per_1000", median(cpu["none"]), "ms")
	return nil
}

// installSyncs leaves both databases in the middle of the change, vacuumed as
// the third is.
func (b *bench) installSyncs(ctx context.Context, synced, rolled database) error {
	if err := b.fillWith("")(ctx, synced); err != nil {
		return err
	}
	if b.options.pgroll != "" {
		if err := b.baseline(ctx, rolled); err != nil {
			return err
		}
		if err := b.rollStart(ctx, rolled, rollSplit); err != nil {
			return err
		}
	}
	for _, d := range []database{synced, rolled} {
		if err := execute(ctx, d.url, "vacuum full users", "vacuum analyze users"); err != nil {
			return err
		}
	}
	return nil
}

// compareWrites alternates, so that what else the machine does is the same for
// all.
func (b *bench) compareWrites(ctx context.Context, cpu map[string][]float64, databases map[string]database) error {
	for range overheadRounds {
		for name, d := range databases {
			took, err := writeUnrelated(ctx, d)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			cpu[name] = append(cpu[name], 1000*milliseconds(took)/(overheadWriters*overheadWrites))
		}
	}
	return nil
}

// overhead is the median, over the rounds, of how much more one took.
func overhead(with, without []float64) float64 {
	ratios := make([]float64, len(with))
	for i := range with {
		ratios[i] = 100 * (with[i]/without[i] - 1)
	}
	return median(ratios)
}

// writeUnrelated is the processor time of the writers' backends.
func writeUnrelated(ctx context.Context, d database) (time.Duration, error) {
	spent := make([]time.Duration, overheadWriters)
	group, ctx := errgroup.WithContext(ctx)
	for i := range spent {
		group.Go(func() (err error) {
			return session(ctx, d.url, func(c *pgx.Conn) error {
				spent[i], err = countLogins(ctx, c, d.rows)
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	var total time.Duration
	for _, s := range spent {
		total += s
	}
	return total, nil
}

// countLogins leaves out what a backend takes to come up and to plan.
func countLogins(ctx context.Context, c *pgx.Conn, rows int64) (time.Duration, error) {
	write := func() error {
		_, err := c.Exec(ctx, counts.sql, rand.Int64N(rows)+1)
		return err
	}
	for range 100 {
		if err := write(); err != nil {
			return 0, err
		}
	}
	begun, err := processorTime(c.PgConn().PID())
	if err != nil {
		return 0, err
	}
	for range overheadWrites {
		if err := write(); err != nil {
			return 0, err
		}
	}
	ended, err := processorTime(c.PgConn().PID())
	return ended - begun, err
}

// processorTime is what a process has used, in nanoseconds: /proc/PID/stat
// counts in hundredths of a second (proc(5)).
func processorTime(pid uint32) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(b), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(ns), err
}
