// Command load sends requests to the example service at a steady rate, and
// tells at the end what they suffered. It stops on SIGTERM, on Ctrl-C, or
// after -for; it exits 1 when a request went wrong.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pleat/examples/users/load/traffic"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, length, file, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	s, err := traffic.Run(ctx, o)
	if err == nil {
		fmt.Fprint(stdout, s.Lines())
		err = save(file, s)
	}
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	if s.Errors > 0 {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (o traffic.Options, length time.Duration, file string, err error) {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.URL, "url", "http://127.0.0.1:8080", "where the service answers")
	f.Float64Var(&o.Rate, "rate", 100, "requests a second")
	f.IntVar(&o.Clients, "clients", 16, "keep-alive connections")
	f.DurationVar(&o.Timeout, "timeout", 10*time.Second, "of one request")
	f.BoolVar(&o.V1Only, "v1-only", false, "never use /v2/user, even where it answers")
	f.Uint64Var(&o.Seed, "seed", 1, "of the choice of requests")
	f.DurationVar(&length, "for", 0, "stop after that time; 0: on SIGTERM")
	f.StringVar(&file, "json", "", "write the summary to `FILE` as well")
	err = f.Parse(args)
	return o, length, file, err
}

func save(file string, s traffic.Summary) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
