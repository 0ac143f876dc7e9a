package agenttest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// lifetime ends a program that a broken test left behind.
const lifetime = 2 * time.Minute

// program is what instances run: an HTTP server that misbehaves on request.
//
//	-addr HOST:PORT   where it listens; none: it only lives
//	-ready FILE       /healthz is 503 until the file is there
//	-exit STATUS      it ends at once
//	-survive          it ignores SIGTERM
//
// It answers /pid, /env, /slow?for=DURATION, /slow?until=FILE (that is there),
// /exit?status=N and /echo, which upgrades to a raw echo. It prints what it does.
type program struct {
	ready    string
	inFlight atomic.Int64
}

func runProgram(args []string) {
	flags := flag.NewFlagSet("program", flag.ExitOnError)
	addr := flags.String("addr", "", "")
	ready := flags.String("ready", "", "")
	exit := flags.Int("exit", -1, "")
	survive := flags.Bool("survive", false, "")
	_ = flags.Parse(args) // ExitOnError
	time.AfterFunc(lifetime, func() { os.Exit(99) })
	fmt.Println("begin", os.Getpid())
	if *exit >= 0 {
		fmt.Println("end with", *exit)
		os.Exit(*exit)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	p := &program{ready: *ready}
	server := &http.Server{Addr: *addr, Handler: p.routes(), ReadHeaderTimeout: time.Minute}
	if *addr != "" {
		go p.listen(server)
	}
	for range signals {
		fmt.Println("told to end")
		if *survive {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := server.Shutdown(ctx); err != nil {
			fmt.Println("shutting down:", err)
		}
		cancel()
		os.Exit(0)
	}
}

func (p *program) listen(s *http.Server) {
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
}

func (p *program) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(p.ready); p.ready != "" && err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, strings.Join(os.Environ(), "\n"))
	})
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/body", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/slow", p.slow)
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, p.inFlight.Load()) })
	mux.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.FormValue("status"))
		if err != nil {
			status = 1
		}
		fmt.Println("end with", status)
		os.Exit(status)
	})
	return mux
}

func (p *program) slow(w http.ResponseWriter, r *http.Request) {
	p.inFlight.Add(1)
	defer p.inFlight.Add(-1)
	for file := r.FormValue("until"); file != ""; {
		if _, err := os.Stat(file); err == nil {
			fmt.Fprint(w, os.Getpid())
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	d, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case <-r.Context().Done():
	case <-time.After(d):
		fmt.Fprint(w, os.Getpid())
	}
}

// echo leaves HTTP, and says back what it hears.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	if rw.Flush() != nil {
		return
	}
	_, _ = io.Copy(conn, rw)
}
