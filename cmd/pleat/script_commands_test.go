package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// agentCommand starts, kills or ends agents, each a host of that name:
//
//	agent start NAME ...
//	agent kill NAME        (SIGKILL; its processes go on)
//	agent stop NAME        (SIGTERM; its processes go on)
//	agent missed NAME      (after kill: until somebody asked, and got no answer)
func agentCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: agent start|kill|stop|missed NAME ...")
	}
	w := sceneOf(ts)
	for _, name := range args[1:] {
		switch args[0] {
		case "start":
			w.startAgent(ts, name)
		case "kill":
			w.agents[name].kill()
		case "stop":
			ts.Check(w.agents[name].cmd.Process.Signal(syscall.SIGTERM))
			<-w.agents[name].ended
		case "missed":
			w.missAgent(ts, name)
		default:
			ts.Fatalf("agent %s: unknown", args[0])
		}
	}
}

func (w *scene) startAgent(ts *testscript.TestScript, name string) {
	a := &agentProcess{ended: make(chan error, 1), output: &bytes.Buffer{}}
	pleat, err := exec.LookPath(filepath.Join(strings.Split(ts.Getenv("PATH"), ":")[0], "pleat"))
	ts.Check(err)
	socket := filepath.Join(w.sockets, name+".sock")
	a.cmd = exec.Command(pleat, "agent", "--listen", "unix://"+socket, "--state", filepath.Join(w.sockets, name), "--name", name)
	a.cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + w.sockets}
	a.cmd.Stderr = a.output
	ts.Check(a.cmd.Start())
	go func() { a.ended <- a.cmd.Wait(); close(a.ended) }()
	w.agents[name] = a
	w.everyAgent = append(w.everyAgent, a)
	until(ts, "agent "+name, func() bool {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func (w *scene) missAgent(ts *testscript.TestScript, name string) {
	socket := filepath.Join(w.sockets, name+".sock")
	ts.Check(os.Remove(socket))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	ts.Check(err)
	defer l.Close()
	ts.Check(l.SetDeadline(time.Now().Add(deadline)))
	c, err := l.Accept()
	ts.Check(err)
	ts.Check(c.Close())
}

// until polls a condition with a deadline. What takes long to ask is asked half of
// the time at the most.
func until(ts *testscript.TestScript, what string, met func() bool) {
	end := time.Now().Add(deadline)
	for {
		began := time.Now()
		if met() {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s: not within %s", what, deadline)
		}
		<-time.After(max(20*time.Millisecond, time.Since(began)))
	}
}

// sqlCommand runs SQL on the script's database and prints the rows, columns
// separated by blanks. With ! the SQL must fail, and its error is printed.
//
//	sql SQL
//	sql -f FILE
//	sql -on DATABASE SQL
func sqlCommand(ts *testscript.TestScript, neg bool, args []string) {
	ctx, url := context.Background(), sceneOf(ts).url
	if args[0] == "-on" {
		url, args = strings.Replace(url, ts.Getenv("DATABASE"), args[1], 1), args[2:]
	}
	c, err := pgx.Connect(ctx, url)
	ts.Check(err)
	defer c.Close(ctx)
	text := strings.Join(args, " ")
	if args[0] == "-f" {
		text = ts.ReadFile(args[1])
	}
	out, err := rowsOf(ctx, c, text)
	if neg {
		if err == nil {
			ts.Fatalf("it succeeded")
		}
		fmt.Fprintln(ts.Stdout(), err)
		return
	}
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), out)
}

func rowsOf(ctx context.Context, c *pgx.Conn, sql string) (string, error) {
	rows, err := c.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return "", err
		}
		for i, v := range values {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprint(&b, v)
		}
		b.WriteByte('\n')
	}
	return b.String(), rows.Err()
}

// sessionCommand holds a database session open:
//
//	session open NAME APPLICATION_NAME SQL   (SQL such as begin; select …)
//	session close NAME
func sessionCommand(ts *testscript.TestScript, neg bool, args []string) {
	w, ctx := sceneOf(ts), context.Background()
	if len(args) == 2 && args[0] == "close" {
		ts.Check(w.sessions[args[1]].conn.Close(ctx))
		delete(w.sessions, args[1])
		return
	}
	if neg || len(args) < 4 || args[0] != "open" {
		ts.Fatalf("usage: session open NAME APPLICATION_NAME SQL, session close NAME")
	}
	config, err := pgx.ParseConfig(w.url)
	ts.Check(err)
	config.RuntimeParams["application_name"] = args[2]
	c, err := pgx.ConnectConfig(ctx, config)
	ts.Check(err)
	w.sessions[args[1]] = &heldSession{conn: c}
	_, err = c.PgConn().Exec(ctx, strings.Join(args[3:], " ")).ReadAll()
	ts.Check(err)
}

// instancesCommand prints what the agents keep, one "RELEASE PROCESS.N STATE"
// a line, sorted; with -host the host too:
//
//	instances [-host] AGENT ...
func instancesCommand(ts *testscript.TestScript, neg bool, args []string) {
	hosts := len(args) > 0 && args[0] == "-host"
	if hosts {
		args = args[1:]
	}
	lines := sceneOf(ts).instances(ts, hosts, args)
	fmt.Fprint(ts.Stdout(), strings.Join(lines, ""))
}

func (w *scene) instances(ts *testscript.TestScript, hosts bool, agents []string) []string {
	var lines []string
	for _, name := range agents {
		st, err := w.client(ts, name).State(context.Background())
		ts.Check(err)
		for _, i := range st.Instances {
			line := fmt.Sprintf("%s %s %s", i.Release, i.Instance, i.State)
			if hosts {
				line = st.Host + " " + line
			}
			lines = append(lines, strings.TrimSpace(line+" "+i.Role)+"\n")
		}
	}
	sort.Strings(lines)
	return lines
}

// sequenceCommand prints the story that an event file tells: instance states
// as "RELEASE PROCESS STATE", and runs as "run STATUS". Equal lines that follow
// each other become one with a count. -only keeps some states. With -steps it is
// the steps that were done, as "KIND TITLE".
//
//	sequence [-only up,down] FILE
//	sequence -steps FILE
func sequenceCommand(ts *testscript.TestScript, neg bool, args []string) {
	var only []string
	if len(args) == 3 && args[0] == "-only" {
		only, args = strings.Split(args[1], ","), args[2:]
	}
	tell := tell
	if args[0] == "-steps" {
		tell, args = tellStep, args[1:]
	}
	var story []string
	for _, line := range strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n") {
		if told := tell(ts, line); told != "" && (only == nil || slices.Contains(only, lastWord(told))) {
			story = append(story, told)
		}
	}
	for i := 0; i < len(story); {
		n := i
		for n < len(story) && story[n] == story[i] {
			n++
		}
		if n-i > 1 {
			fmt.Fprintf(ts.Stdout(), "%s x%d\n", story[i], n-i)
		} else {
			fmt.Fprintln(ts.Stdout(), story[i])
		}
		i = n
	}
}

func lastWord(s string) string { return s[strings.LastIndexByte(s, ' ')+1:] }

func tell(ts *testscript.TestScript, line string) string {
	var e struct{ Type, Status, Release, Process, State string }
	ts.Check(json.Unmarshal([]byte(line), &e))
	switch e.Type {
	case "run":
		return "run " + e.Status
	case "instance":
		return fmt.Sprintf("%s %s %s", e.Release, e.Process, e.State)
	}
	return ""
}

func tellStep(ts *testscript.TestScript, line string) string {
	var e struct{ Type, Status, Kind, Title string }
	ts.Check(json.Unmarshal([]byte(line), &e))
	if e.Type == "step" && e.Status == "done" {
		return e.Kind + " " + e.Title
	}
	return ""
}

// eventuallyCommand repeats a command of pleat's until its output matches:
//
//	eventually REGEXP pleat ARGS ...
//	eventually REGEXP sql SQL
//	eventually REGEXP instances AGENT ...
//	eventually REGEXP file NAME
func eventuallyCommand(ts *testscript.TestScript, neg bool, args []string) {
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var last string
	defer func() {
		if !want.MatchString(last) {
			ts.Logf("last output:\n%s", last)
		}
	}()
	until(ts, "output like "+args[0], func() bool {
		last = sceneOf(ts).output(ts, args[1:])
		return want.MatchString(last) != neg
	})
}

func (w *scene) output(ts *testscript.TestScript, args []string) string {
	switch args[0] {
	case "sql":
		ctx := context.Background()
		c, err := pgx.Connect(ctx, w.url)
		ts.Check(err)
		defer c.Close(ctx)
		out, err := rowsOf(ctx, c, strings.Join(args[1:], " "))
		if err != nil {
			return err.Error()
		}
		return out
	case "instances":
		return strings.Join(w.instances(ts, false, args[1:]), "")
	case "file":
		b, err := os.ReadFile(ts.MkAbs(args[1]))
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	cmd := exec.Command(program(ts, args[0]), args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), w.environ(ts)
	out, _ := cmd.CombinedOutput() // a command that fails is asked again
	return string(out)
}

// getCommand prints the body of an answer; any status but 200 fails, or with !
// is wanted:
//
//	get [-header 'NAME: VALUE'] URL
func getCommand(ts *testscript.TestScript, neg bool, args []string) {
	r, err := http.NewRequest(http.MethodGet, args[len(args)-1], nil)
	ts.Check(err)
	if args[0] == "-header" {
		name, value, _ := strings.Cut(args[1], ": ")
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if (answer.StatusCode == http.StatusOK) == neg {
		ts.Fatalf("status %s: %s", answer.Status, b)
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", b)
}

// answersCommand sends that many requests, one after the other, and prints how
// many each release answered, as the first word of the body names it: "r1 90".
//
//	answers COUNT URL
func answersCommand(ts *testscript.TestScript, neg bool, args []string) {
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	by := map[string]int{}
	for range count {
		r, err := http.NewRequest(http.MethodGet, args[1], nil)
		ts.Check(err)
		by[answeredBy(ts, r)]++
	}
	for _, release := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintf(ts.Stdout(), "%s %d\n", release, by[release])
	}
}

// sendCommand prints the body of the answer to a request with a body of JSON;
// an answer that is not 2xx fails, or with ! is wanted:
//
//	send [-header 'NAME: VALUE'] METHOD URL [BODY]
func sendCommand(ts *testscript.TestScript, neg bool, args []string) {
	var name, value string
	if args[0] == "-header" {
		name, value, _ = strings.Cut(args[1], ": ")
		args = args[2:]
	}
	r, err := http.NewRequest(args[0], args[1], strings.NewReader(strings.Join(args[2:], " ")))
	ts.Check(err)
	if name != "" {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if (answer.StatusCode/100 == 2) == neg {
		ts.Fatalf("status %s: %s", answer.Status, b)
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", b)
}

// loadCommand sends requests all the time and counts what failed:
//
//	load start [-clients N] [-post] URL [PATIENCE]   (a request that takes longer has failed)
//	load start -rate N [-post] URL     (so many a second, answered or not)
//	load last DURATION (waits until it has gone on for that long)
//	load stop          (prints "N requests, M errors", how many that are a second and
//	                   for how long; fails when M > 0)
func loadCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := sceneOf(ts)
	switch args[0] {
	case "start":
		w.traffic = trafficOf(ts, args[1:])
		until(ts, "first request", func() bool { return w.traffic.requests.Load() > 0 })
	case "last":
		most, err := time.ParseDuration(args[1])
		ts.Check(err)
		until(ts, "load for "+args[1], func() bool { return time.Since(w.traffic.began) >= most })
	default:
		w.traffic.stop()
		fmt.Fprintln(ts.Stdout(), w.traffic)
		if w.traffic.errors.Load() > 0 {
			ts.Fatalf("%d of %d requests failed, first: %v", w.traffic.errors.Load(), w.traffic.requests.Load(), *w.traffic.first.Load())
		}
	}
}

// trafficOf starts the load that the arguments of load start say.
func trafficOf(ts *testscript.TestScript, args []string) *traffic {
	many, rate, method := clients, 0, http.MethodGet
	for args[0] == "-clients" || args[0] == "-rate" {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		if args[0] == "-rate" {
			rate = n
		}
		many, args = n, args[2:]
	}
	if args[0] == "-post" {
		method, args = http.MethodPost, args[1:]
	}
	if rate > 0 {
		return startPolling(rate, method, args[0])
	}
	var patience time.Duration
	if len(args) > 1 {
		var err error
		patience, err = time.ParseDuration(args[1])
		ts.Check(err)
	}
	return startTraffic(many, method, args[0], patience)
}

// replaceCommand edits a file: every OLD becomes NEW, in which \n begins a
// line, and there must be one.
//
//	replace FILE OLD NEW
func replaceCommand(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	if !bytes.Contains(b, []byte(args[1])) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(name, bytes.ReplaceAll(b, []byte(args[1]), []byte(strings.ReplaceAll(args[2], `\n`, "\n"))), 0o644))
}
