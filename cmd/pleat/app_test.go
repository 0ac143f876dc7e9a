package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// serve is app, the service that scripts deploy: it answers every request with its
// release and instance, and fails in the ways that its flags say.
func serve(args []string) int {
	f := flag.NewFlagSet("app", flag.ExitOnError)
	unhealthy := f.Bool("unhealthy", false, "answer /healthz with 503")
	crash := f.Duration("crash", -1, "exit with 1 after that long")
	slowStop := f.Duration("slow-stop", 0, "need that long to stop")
	failures := f.String("failures", "", "FILE:N, exit with 1 at the first N starts, counted in FILE")
	mute := f.Bool("mute", false, "listen on nothing")
	database := f.Bool("database", false, "keep a database session open")
	query := f.String("query", "", "SQL to run on it for every request")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if *failures != "" && stillFails(*failures) {
		fmt.Fprintln(os.Stderr, "not this time")
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := &appServer{unhealthy: *unhealthy, query: *query}
	if *database || *query != "" {
		c, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		s.conn = make(chan *pgx.Conn, 1)
		s.conn <- c
	}
	if *crash >= 0 {
		time.AfterFunc(*crash, func() { os.Exit(1) })
	}
	server := &http.Server{Addr: os.Getenv("ADDR"), Handler: s}
	if !*mute {
		go server.ListenAndServe()
	}
	<-ctx.Done()
	<-time.After(*slowStop)
	server.Shutdown(context.Background())
	return 0
}

type appServer struct {
	unhealthy bool
	query     string
	conn      chan *pgx.Conn // one at a time
}

// ServeHTTP answers "RELEASE INSTANCE".
func (s *appServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" && s.unhealthy {
		http.Error(w, "not healthy", http.StatusServiceUnavailable)
		return
	}
	if s.query != "" {
		c := <-s.conn
		_, err := c.Exec(r.Context(), s.query, pgx.QueryExecModeExec)
		s.conn <- c
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	fmt.Fprintf(w, "%s %s", os.Getenv("PLEAT_RELEASE"), os.Getenv("PLEAT_INSTANCE"))
}

// stillFails counts a start in "FILE:N" and tells whether it is one of the
// first N.
func stillFails(spec string) bool {
	var file string
	var n int
	for i := len(spec) - 1; i >= 0; i-- {
		if spec[i] == ':' {
			file = spec[:i]
			n, _ = strconv.Atoi(spec[i+1:])
			break
		}
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return true
	}
	defer f.Close()
	f.WriteString("x")
	info, err := f.Stat()
	return err != nil || info.Size() <= int64(n)
}
