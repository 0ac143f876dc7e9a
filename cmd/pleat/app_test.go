package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// appFlags are the ways in which app can behave.
type appFlags struct {
	unhealthy bool
	says      string
	crash     time.Duration
	stopWhen  string
	upWhen    string
	warm      time.Duration
	failures  string
	failAs    string
	becomes   string
	starts    string
	requests  string
	mute      bool
	delay     time.Duration
	abrupt    bool
	database  bool
	query     string
	handover  string
	performs  int64
}

func (o *appFlags) read(args []string) error {
	f := flag.NewFlagSet("app", flag.ContinueOnError)
	f.BoolVar(&o.unhealthy, "unhealthy", false, "answer /healthz with 503")
	f.StringVar(&o.says, "says", "", "answer everything with 500 and that")
	f.StringVar(&o.upWhen, "up-when", "", "answer /healthz with 503 until that file is there")
	f.DurationVar(&o.warm, "warm", 0, "answer everything with 503 for that long")
	f.DurationVar(&o.crash, "crash", -1, "exit with 1 after that long")
	f.StringVar(&o.stopWhen, "stop-when", "", "asked to stop, go on until that file is there")
	f.StringVar(&o.failures, "failures", "", "FILE:N, exit with 1 at the first N starts, counted in FILE")
	f.StringVar(&o.becomes, "becomes", "", "FILE:PROGRAM, become that program once the file is there")
	f.StringVar(&o.failAs, "fail-as", "", "exit with 1 as the instance of that name")
	f.StringVar(&o.starts, "starts", "", "add a line to that file at each start")
	f.StringVar(&o.requests, "requests", "", "add a line to that file for each request, but for /healthz; for /notice its body")
	f.BoolVar(&o.mute, "mute", false, "listen on nothing")
	f.DurationVar(&o.delay, "delay", 0, "take that long for every answer")
	f.BoolVar(&o.abrupt, "abrupt", false, "asked to stop, leave requests unanswered")
	f.BoolVar(&o.database, "database", false, "keep a database session open")
	f.StringVar(&o.handover, "handover", "", "say that of taking over; RUN stands for the run")
	f.Int64Var(&o.performs, "performs", 0, "say that it is performing until /healthz was asked so many times")
	f.StringVar(&o.query, "query", "", "SQL to run on it for every request")
	return f.Parse(args)
}

// serve is app, the service that scripts deploy: it answers every request with its
// release and instance, and fails in the ways that its flags say.
func serve(args []string) int {
	var o appFlags
	if err := o.read(args); err != nil {
		return 2
	}
	if err := o.begin(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := &appServer{appFlags: o, began: time.Now()}
	if err := s.connect(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if file, program, ok := strings.Cut(o.becomes, ":"); ok {
		awaitFile(file)
		fmt.Fprintln(os.Stderr, become(program))
		return 1
	}
	if o.crash >= 0 {
		time.AfterFunc(o.crash, func() { os.Exit(1) })
	}
	server := &http.Server{Addr: os.Getenv("ADDR"), Handler: s}
	if !o.mute {
		go server.ListenAndServe()
	}
	<-ctx.Done()
	awaitFile(o.stopWhen)
	if !o.abrupt {
		server.Shutdown(context.Background())
	}
	return 0
}

// begin counts the start, and fails those that should.
func (o *appFlags) begin() error {
	if o.starts != "" {
		if _, err := addTo(o.starts, os.Getenv("PLEAT_RELEASE")+" "+os.Getenv("PLEAT_INSTANCE")+"\n"); err != nil {
			return err
		}
	}
	if err := o.say(o.performs == 0); err != nil {
		return err
	}
	if o.failAs == os.Getenv("PLEAT_INSTANCE") || o.failures != "" && stillFails(o.failures) {
		return errors.New("not this time")
	}
	return nil
}

// become runs that program in place of this one, or says why it cannot.
func become(program string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	return syscall.Exec(path, []string{program}, os.Environ())
}

// say writes what -handover says, or before the end that it performs.
func (o *appFlags) say(end bool) error {
	if o.handover == "" {
		return nil
	}
	said := o.handover
	if !end {
		said = "RUN performing"
	}
	said = strings.ReplaceAll(said, "RUN", os.Getenv("PLEAT_RUN"))
	return os.WriteFile(os.Getenv("PLEAT_HANDOVER"), []byte(said), 0o600)
}

// there tells whether a file is; one without a name always is.
func there(file string) bool {
	if file == "" {
		return true
	}
	_, err := os.Stat(file)
	return err == nil
}

// awaitFile waits until a file is there.
func awaitFile(file string) {
	for !there(file) {
		<-time.After(10 * time.Millisecond)
	}
}

type appServer struct {
	appFlags
	conn   chan *pgx.Conn // one at a time
	began  time.Time
	looked atomic.Int64 // at /healthz
}

func (s *appServer) connect(ctx context.Context) error {
	if !s.database && s.query == "" {
		return nil
	}
	c, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	s.conn = make(chan *pgx.Conn, 1)
	s.conn <- c
	return nil
}

// ServeHTTP answers "RELEASE INSTANCE".
func (s *appServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" && (s.unhealthy || !there(s.upWhen)) || time.Since(s.began) < s.warm {
		http.Error(w, "not healthy", http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path == "/healthz" && s.looked.Add(1) == s.performs {
		if err := s.say(true); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if s.requests != "" && r.URL.Path != "/healthz" {
		line := fmt.Sprintf("%s %s %s\n", os.Getenv("PLEAT_RELEASE"), os.Getenv("PLEAT_INSTANCE"), r.URL.Path)
		if r.URL.Path == "/notice" {
			body, _ := io.ReadAll(r.Body) // what was cut off is not told
			line = string(body) + "\n"
		}
		if _, err := addTo(s.requests, line); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if r.URL.Path == "/slow" {
		slow(r)
	}
	if s.says != "" {
		http.Error(w, s.says, http.StatusInternalServerError)
		return
	}
	<-time.After(s.delay)
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

// slow takes until the file is there that the request names in "until", or else 1.5 s.
func slow(r *http.Request) {
	if file := r.URL.Query().Get("until"); file != "" {
		awaitFile(file)
		return
	}
	<-time.After(1500 * time.Millisecond)
}

// stillFails counts a start in "FILE:N" and tells whether it is one of the
// first N.
func stillFails(spec string) bool {
	colon := strings.LastIndexByte(spec, ':')
	n, err := strconv.Atoi(spec[colon+1:])
	if err != nil {
		return true
	}
	size, err := addTo(spec[:colon], "x")
	return err != nil || size <= int64(n)
}

// addTo appends to a file, whoever else does, and gives its size then.
func addTo(file, text string) (int64, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
