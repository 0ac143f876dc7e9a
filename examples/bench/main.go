// Command bench measures pleat as its users run it: the program itself, on
// specs that are written on the fly, on a throw-away Postgres and under a
// steady load of writes. Beside it, in the same run, stand pgroll,
// golang-migrate's command and bare SQL. stdout is figures, one a line:
// figure NAME VALUE UNIT. What was left out and which goals were missed is
// said on stderr. `make bench-schema` builds what it needs and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// options are where the programs are and how much of everything.
type options struct {
	pleat, pgroll, migrate string // programs; "" leaves the peer out
	instance               string // what is rolled out
	haproxy                string // "" leaves it out
	instances              int
	rows                   int64
	rounds                 int           // of comparisons that alternate
	runs                   int           // that count the errors of clients
	alone                  time.Duration // for which writers are watched with nothing beside them
	hold                   time.Duration // for which a reader keeps its transaction
	only, skip             *regexp.Regexp
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the command without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	return measure(ctx, o, stdout, stderr)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var only, skip string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.pleat, "pleat", "bin/pleat", "the program `FILE`")
	f.StringVar(&o.pgroll, "pgroll", "", "pgroll's program `FILE`; without it, its figures are left out")
	f.StringVar(&o.migrate, "migrate", "", "golang-migrate's program `FILE`, with its driver pgx5; without it, its figures are left out")
	f.StringVar(&o.instance, "instance", "", "the program `FILE` that is rolled out; without it, rollouts are left out")
	f.StringVar(&o.haproxy, "haproxy", "", "HAProxy's program `FILE`; without it, its figures are left out")
	f.IntVar(&o.instances, "instances", 200, "of it, on 4 agents")
	f.Int64Var(&o.rows, "rows", 1_000_000, "in the table that is changed")
	f.IntVar(&o.rounds, "rounds", 3, "comparisons that alternate; the median counts")
	f.IntVar(&o.runs, "runs", 5, "whole changes under load that count the errors of clients")
	f.DurationVar(&o.alone, "alone", 5*time.Second, "writers are watched undisturbed for that long")
	f.DurationVar(&o.hold, "hold", 10*time.Second, "a reader keeps its transaction for that long")
	f.StringVar(&only, "only", "", "measure the parts whose name matches `REGEXP`: "+partNames())
	f.StringVar(&skip, "skip", "^$", "do not measure the parts whose name matches `REGEXP`")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	if o.skip, err = regexp.Compile(skip); err != nil {
		return o, fmt.Errorf("-skip: %w", err)
	}
	if o.rows < smallest || o.rounds < 1 || o.runs < 1 {
		return o, fmt.Errorf("at least %d rows, 1 round and 1 run", smallest)
	}
	return o, absolute(&o.pleat, &o.pgroll, &o.migrate, &o.instance, &o.haproxy)
}

// smallest is a table with enough rows for writers not to meet all the time.
const smallest = 1000

func absolute(programs ...*string) error {
	for _, p := range programs {
		if *p == "" {
			continue
		}
		path, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w; make bench-schema makes it", err)
		}
		*p = path
	}
	return nil
}

// part measures one thing and prints its figures.
type part struct {
	name    string
	measure func(*bench, context.Context) error
}

var parts = []part{
	{"noop", (*bench).noop},
	{"plan", (*bench).plan},
	{"migrate", (*bench).migrateFiles},
	{"sync", (*bench).syncOverhead},
	{"backfill", (*bench).backfills},
	{"operation", (*bench).operations},
	{"reader", (*bench).heldReader},
	{"unhide", (*bench).unhide},
	{"errors", (*bench).clientErrors},
	{proxyName, (*bench).proxies},
	{"rollout", (*bench).rollouts},
}

func partNames() string {
	names := ""
	for _, p := range parts {
		names += " " + p.name
	}
	return names[1:]
}

func measure(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	b, err := open(ctx, o, stdout, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, p := range parts {
		if !o.only.MatchString(p.name) || o.skip.MatchString(p.name) {
			continue
		}
		begun := time.Now()
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", p.name, err)
		}
		b.talk("%s took %.0f s", p.name, time.Since(begun).Seconds())
	}
	return b.stalls()
}
