// Command demo shows pleat at work, on a Postgres and an agent of its own: a
// release and the schema change that it needs, under load, then a release that
// crashes. It ends with one summary and exits 0 only if no request failed and
// no row was lost. `make demo` builds what it needs and runs it.
//
// However it ends, by itself, by Ctrl-C or killed, it leaves no process and no
// file behind.
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
	"syscall"
)

// options are where things are and how much of everything.
type options struct {
	pleat string // the program
	spec  string // directory of the example's spec
	rate  float64
	users int64
}

func main() {
	if dir := os.Getenv(janitorVariable); dir != "" {
		os.Exit(clean(dir, os.Stdin, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the demo without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = perform(ctx, o, stdout)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "demo: interrupted; everything is taken down")
		return 130
	}
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.pleat, "pleat", "bin/pleat", "the program `FILE`")
	f.StringVar(&o.spec, "spec", "examples/users", "the example's `DIR`")
	f.Float64Var(&o.rate, "rate", 200, "requests a second")
	f.Int64Var(&o.users, "users", 100_000, "rows in the table")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for _, path := range []*string{&o.pleat, &o.spec} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return o, err
		}
		if _, err := os.Stat(absolute); err != nil {
			return o, fmt.Errorf("%w; make build makes it", err)
		}
		*path = absolute
	}
	return o, nil
}

// perform sets the stage, plays, and clears the stage.
func perform(ctx context.Context, o options, stdout io.Writer) (err error) {
	p := &play{options: o, out: talk{stdout}}
	p.out.heading("A throw-away Postgres and an agent")
	if p.stage, err = set(ctx, o, p.out); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stage.clear()) }()
	return p.run(ctx)
}
