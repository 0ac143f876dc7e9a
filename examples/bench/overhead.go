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
	overheadRounds  = 9
	overheadWriters = 4
	overheadWrites  = 1500 // of each writer in a round
)

// syncOverhead compares the processor time of the server on writes to a column
// that no sync is about: without any, with pleat's, with pgroll's, and with a
// trigger that does nothing and is not called, which is what the server takes for
// any sync that is a BEFORE trigger: it locks each row before it looks whether
// the trigger is about the columns that are written. Each
// statement is sent as text, as pgbench does and most drivers behind a pooler,
// and then prepared, which leaves less of everything but the trigger.
func (b *bench) syncOverhead(ctx context.Context) error {
	rows := max(b.rows/10, smallest)
	return b.populated(ctx, rows, func(plain database) error {
		return b.populated(ctx, rows, func(synced database) error {
			return b.populated(ctx, rows, func(rolled database) error {
				return b.populated(ctx, rows, func(idle database) error {
					if err := b.installSyncs(ctx, plain, synced, rolled, idle); err != nil {
						return err
					}
					databases := map[string]database{"none": plain, "pleat": synced, "pgroll": rolled, "idle": idle}
					if err := b.tellOverhead(ctx, databases, "", pgx.QueryExecModeSimpleProtocol); err != nil {
						return err
					}
					return b.tellOverhead(ctx, databases, "_prepared", pgx.QueryExecModeCacheStatement)
				})
			})
		})
	})
}

func (b *bench) tellOverhead(ctx context.Context, databases map[string]database, suffix string, mode pgx.QueryExecMode) error {
	cpu, err := compareWrites(ctx, databases, mode)
	if err != nil {
		return err
	}
	b.figure("sync_cpu_overhead_percent"+suffix, overhead(cpu["pleat"], cpu["none"]), "%")
	b.figure("sync_cpu_overhead_percent_idle_trigger"+suffix, overhead(cpu["idle"], cpu["none"]), "%")
	if b.options.pgroll != "" {
		b.figure("sync_cpu_overhead_percent_pgroll"+suffix, overhead(cpu["pgroll"], cpu["none"]), "%")
	}
	b.figure("unrelated_writes_cpu_ms_per_1000"+suffix, median(cpu["none"]), "ms")
	return nil
}

// idleTrigger is about one column and has nothing to do.
var idleTrigger = []string{
	"create function idle() returns trigger language plpgsql as 'begin return new; end'",
	"create trigger idle before update of name on users for each row execute function idle()",
}

// installSyncs leaves two databases in the middle of the change. The others have
// the same columns, filled and kept right by nobody: rows of the same size.
func (b *bench) installSyncs(ctx context.Context, plain, synced, rolled, idle database) error {
	if err := execute(ctx, plain.url, bareSplit, bareFill); err != nil {
		return err
	}
	if err := execute(ctx, idle.url, append([]string{bareSplit, bareFill}, idleTrigger...)...); err != nil {
		return err
	}
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
	for _, d := range []database{plain, synced, rolled, idle} {
		if err := execute(ctx, d.url, "vacuum full users", "vacuum analyze users"); err != nil {
			return err
		}
	}
	return nil
}

// compareWrites alternates, so that what else the machine does is the same for
// all. It gives CPU-milliseconds for a thousand writes.
func compareWrites(ctx context.Context, databases map[string]database, mode pgx.QueryExecMode) (map[string][]float64, error) {
	cpu := map[string][]float64{}
	for range overheadRounds {
		for name, d := range databases {
			took, err := writeUnrelated(ctx, d, mode)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			cpu[name] = append(cpu[name], 1000*milliseconds(took)/(overheadWriters*overheadWrites))
		}
	}
	return cpu, nil
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
func writeUnrelated(ctx context.Context, d database, mode pgx.QueryExecMode) (time.Duration, error) {
	spent := make([]time.Duration, overheadWriters)
	group, ctx := errgroup.WithContext(ctx)
	for i := range spent {
		group.Go(func() (err error) {
			return session(ctx, d.url, func(c *pgx.Conn) error {
				spent[i], err = countLogins(ctx, c, d.rows, mode)
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
func countLogins(ctx context.Context, c *pgx.Conn, rows int64, mode pgx.QueryExecMode) (time.Duration, error) {
	write := func() error {
		_, err := c.Exec(ctx, counts.sql, mode, rand.Int64N(rows)+1)
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
