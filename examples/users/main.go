// Command users is a small HTTP service on Postgres, made to be deployed: it
// is built once for each release, and its releases behave as releases do. One
// leaks transactions, one crashes on start, one never gets healthy, and the
// right one lives with its table in every phase of the change split_name.
//
// It listens on ADDR and reads DATABASE_URL. On SIGTERM it answers the
// requests in flight and exits 0.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is the release that this binary is; the linker sets it
// (-X main.version=2.0.2), so that each release has a digest of its own.
var version = "2.0.2"

// grace is how long requests in flight may take once the service was asked to
// stop.
const grace = 25 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, version, os.Getenv, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "users %s: %v\n", version, err)
		os.Exit(1)
	}
}

// run serves until ctx is done and every request in flight is answered.
func run(ctx context.Context, version string, getenv func(string) string, log io.Writer) error {
	r, err := lookup(version)
	if err != nil {
		return err
	}
	if r.crashes {
		return errors.New("reading configuration: FEATURE_NAMES is neither on nor off")
	}
	db, err := open(ctx, getenv("DATABASE_URL"), r.leaks)
	if err != nil {
		return err
	}
	defer db.close()
	listener, err := net.Listen("tcp", getenv("ADDR"))
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "users %s: listening on %s\n", version, listener.Addr())
	return serve(ctx, listener, labelled(routes(r, db), version, getenv))
}

// serve returns after the last request was answered, or after grace.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		// Longer than a router keeps an idle connection, so that it is never
		// this side that closes one while a request is on its way.
		IdleTimeout: 10 * time.Minute,
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		stopped <- s.Shutdown(limit)
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
