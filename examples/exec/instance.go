package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// look is how often something is looked at that is waited for.
const look = 20 * time.Millisecond

// instance is the record of one.
type instance struct {
	Service, Release, Process, Instance string
	SHA256, Address                     string
	Up, Stopping                        bool
	CameUp                              time.Time
	Restarts                            int // since it ended by itself

	file string // of the record; with .run at the end, what it holds while it lives
}

func (p *platform) record(service, release, name string) instance {
	return instance{Service: service, Release: release, Instance: name, file: p.path("instances", service+"@"+release+"@"+name)}
}

// instances are all that were started and not stopped.
func (p *platform) instances() ([]instance, error) {
	entries, err := os.ReadDir(p.path("instances"))
	if err != nil {
		return nil, err
	}
	var all []instance
	for _, e := range entries {
		parts := strings.Split(e.Name(), "@")
		if len(parts) != 3 || strings.Contains(e.Name(), ".run") || strings.Contains(e.Name(), ".log") || strings.HasSuffix(e.Name(), ".new") {
			continue
		}
		i := p.record(parts[0], parts[1], parts[2])
		if err := read(i.file, &i); err == nil { // otherwise it was just stopped
			all = append(all, i)
		}
	}
	return all, nil
}

func (p *platform) find(a action, name string) (instance, bool) {
	i := p.record(a.Service, a.Release, name)
	return i, read(i.file, &i) == nil
}

// pid is the process of an instance that lives: it holds a lock on the file that
// has the number, and the lock ends with it. 0: there is none.
func (i instance) pid() int {
	f, err := os.Open(i.file + ".run")
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	for range 100 { // it is written right after the lock is taken
		b, err := io.ReadAll(io.NewSectionReader(f, 0, 20))
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && bad == nil {
			return pid
		}
		time.Sleep(look)
	}
	return 0
}

func (i instance) state() string {
	switch alive := i.pid() != 0; {
	case !alive:
		return "down"
	case i.Stopping:
		return "stopping"
	case i.Up:
		return "up"
	}
	return "starting"
}

// steady is for how long an instance has to be up for its restarts to be forgotten.
const steady = 5 * time.Minute

// restarts is how often it was started again, as far as that matters.
func (i instance) restarts() int {
	if i.Up && time.Since(i.CameUp) >= steady {
		return 0
	}
	return i.Restarts
}

// hostname is of the one host that there is.
const hostname = "here"

func (p *platform) observe() (any, error) {
	all, err := p.instances()
	list := []object{}
	for _, i := range all {
		list = append(list, object{
			"service": i.Service, "release": i.Release, "process": i.Process, "instance": i.Instance,
			"host": hostname, "sha256": i.SHA256, "state": i.state(), "address": i.Address, "restarts": i.restarts(),
		})
	}
	return object{"identity": p.identity(), "hosts": []string{hostname}, "instances": list}, err
}

// starting is one start under way.
type starting struct {
	work
	*platform
	mine map[string]bool      // instances that it has started itself
	good map[string]time.Time // since when they pass their checks
}

// start makes the instances run and waits until each is up. Those that are there
// already it takes over.
func (p *platform) start(w work) error {
	for _, one := range w.Instances {
		if one.Host != hostname {
			return failed("there is no host %s", one.Host)
		}
	}
	if err := p.locked(func() error { return p.keep(w.Definition) }); err != nil {
		return err
	}
	s := starting{w, p, map[string]bool{}, map[string]time.Time{}}
	limit, progress, failures := time.Duration(w.limit)*time.Millisecond, time.Duration(w.progress)*time.Millisecond, 0
	began, left := time.Now(), slices.Clone(w.Instances)
	for last := began; ; {
		for _, one := range slices.Clone(left) {
			up, err := s.bring(one.Instance)
			var ended *fault
			if err != nil && (!errors.As(err, &ended) || ended.Kind != "failed") {
				return err
			}
			if err != nil {
				if failures++; failures > w.MaxStartFailures {
					return err
				}
				w.report(object{"kind": "warning", "text": fmt.Sprintf("%s; start %d of %d that may fail", err, failures, w.MaxStartFailures)})
			}
			if up {
				left = slices.DeleteFunc(left, func(o placed) bool { return o == one })
				last = time.Now()
			}
		}
		switch {
		case len(left) == 0:
			return s.stays()
		case limit > 0 && time.Since(began) > limit:
			return failed("%s %s %s: not up within %s", w.Service, w.Release, left[0].Instance, limit)
		case progress > 0 && time.Since(last) > progress:
			return failed("%s %s %s: not up, and for %s no other one came up", w.Service, w.Release, left[0].Instance, progress)
		}
		select {
		case <-w.Done():
			return &fault{Kind: "unknown", Message: "it was cancelled when it had started something"}
		case <-time.After(look):
		}
	}
}

// stays looks whether all are still up after the step's time for that.
func (s *starting) stays() error {
	if s.stay == 0 {
		return nil
	}
	select {
	case <-s.Done():
		return &fault{Kind: "unknown", Message: "it was cancelled when it had started something"}
	case <-time.After(time.Duration(s.stay) * time.Millisecond):
	}
	for _, one := range s.Instances {
		if i, there := s.find(s.action, one.Instance); !there || i.state() != "up" {
			return failed("%s %s %s did not stay up", s.Service, s.Release, one.Instance)
		}
	}
	return nil
}

// bring takes one instance a step further.
func (s *starting) bring(name string) (up bool, err error) {
	before, _ := s.find(s.action, name)
	asked := before.pid()
	good := asked != 0 && !before.Up && s.healthy(before) // nobody else waits for the answer
	err = s.locked(func() error {
		i, _ := s.find(s.action, name)
		pid := i.pid()
		switch {
		case pid == 0 && s.mine[name]:
			delete(s.mine, name)
			s.report(object{"kind": "instance", "instance": name, "state": "down"})
			return &fault{"failed", fmt.Sprintf("%s %s %s: it ended before it was up", s.Service, s.Release, name), i.lastLines()}
		case pid == 0:
			return s.spawn(name)
		case i.Stopping || i.SHA256 != s.Definition.Artifact.SHA256: // on its way out
			return send(pid, syscall.SIGKILL)
		case i.Up || good && pid == asked:
			up = true
		}
		if !up || i.Up {
			return nil
		}
		i.Up, i.CameUp = true, time.Now()
		s.report(object{"kind": "instance", "instance": name, "state": "up"})
		return write(i.file, i)
	})
	return up, err
}

// healthy tells whether the instance has passed its checks for long enough.
func (s *starting) healthy(i instance) bool {
	for _, c := range s.Definition.Checks {
		if c.ask(i) != nil {
			delete(s.good, i.Instance)
			return false
		}
	}
	if s.good[i.Instance].IsZero() {
		s.good[i.Instance] = time.Now()
	}
	for _, c := range s.Definition.Checks {
		if time.Since(s.good[i.Instance]) < time.Duration(c.HealthyAfter)*time.Millisecond {
			return false
		}
	}
	return true
}

// spawn starts an instance. Its record is there before its process.
func (s *starting) spawn(name string) error {
	if err := s.admit(s.ticket); err != nil { // the lease may have been lost meanwhile
		return err
	}
	i := s.record(s.Service, s.Release, name)
	if before, there := s.find(s.action, name); there && before.SHA256 == s.Definition.Artifact.SHA256 && !before.Stopping {
		if i.Restarts = before.Restarts; before.Up { // it has ended by itself
			i.Restarts = before.restarts() + 1
		}
	}
	if err := os.Remove(i.file + handedOver); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it was said by the one before
	}
	i.Process, i.SHA256 = s.Process, s.Definition.Artifact.SHA256
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	i.Address = free.Addr().String()
	if err := errors.Join(free.Close(), write(i.file, i)); err != nil {
		return err
	}
	command, env, err := s.program(i)
	if err != nil {
		return err
	}
	s.mine[name] = true
	s.report(object{"kind": "instance", "instance": name, "state": "starting"})
	return detach(i.file, append([]string{"launch"}, command...), env)
}

// program is the command of an instance and its environment.
func (s *starting) program(i instance) (command, env []string, err error) {
	_, port, _ := net.SplitHostPort(i.Address)
	given := map[string]string{
		"ADDR": i.Address, "PORT": port, "ARTIFACT": s.path("artifacts", i.SHA256), "PLEAT_SERVICE": i.Service,
		"PLEAT_RELEASE": i.Release, "PLEAT_PROCESS": i.Process, "PLEAT_INSTANCE": i.Instance, "PLEAT_RUN": s.ticket.Run,
		"PLEAT_HANDOVER": i.file + handedOver,
	}
	expand := func(text string) string {
		return reference.ReplaceAllStringFunc(text, func(r string) string {
			value, known := given[r[2:len(r)-1]]
			if !known && err == nil {
				err = failed("%s is unknown", r)
			}
			return value
		})
	}
	for _, word := range s.Definition.Command {
		command = append(command, expand(word))
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	for name, value := range s.Definition.Env {
		env = append(env, name+"="+expand(value))
	}
	for name, url := range s.Definition.DatabaseURLs[i.Instance] {
		env = append(env, name+"="+url)
	}
	for name, value := range given {
		env = append(env, name+"="+value)
	}
	return command, env, err
}

var reference = regexp.MustCompile(`\$\{[^}]*\}`)

// detach runs this program with other arguments, so that it outlives this
// process. As long as it lives it has a lock on FILE.run, where it writes its
// number; what it says is in FILE.log.
func detach(file string, args, env []string) error {
	held, err := os.OpenFile(file+".run", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err // whoever has it has written its number there
	}
	if err := held.Truncate(0); err != nil {
		return err
	}
	log, err := os.OpenFile(file+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, log, log
	cmd.ExtraFiles = []*os.File{held} // its 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
}

// hold writes the number of this process where detach has said.
func hold() {
	if _, err := fmt.Fprintf(os.NewFile(3, "run"), "%d\n", os.Getpid()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// launch becomes the instance.
func launch(command []string) {
	hold()
	program, err := exec.LookPath(command[0])
	if err == nil {
		err = syscall.Exec(program, command, os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// lastLines is what an instance wrote last.
func (i instance) lastLines() string {
	b, _ := os.ReadFile(i.file + ".log") // there may be none
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

var signals = map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}

// send signals an instance and what it has started. It may have ended just now.
func send(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(-pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

type check struct {
	Kind, Path   string
	Port         int
	Timeout      int64 `json:"timeout_ms"`
	HealthyAfter int64 `json:"healthy_after_ms"`
}

// ask asks an instance once.
func (c check) ask(i instance) error {
	address, timeout := i.Address, time.Duration(c.Timeout)*time.Millisecond
	if c.Port != 0 {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port))
	}
	if c.Kind == "tcp" {
		conn, err := net.DialTimeout("tcp", address, timeout)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	client := http.Client{
		Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := client.Get("http://" + address + c.Path)
	if err != nil {
		return err
	}
	r.Body.Close()
	if r.StatusCode < 200 || r.StatusCode > 399 {
		return errors.New(r.Status)
	}
	return nil
}

// handedOver is the end of the name of the file in which an instance says that it
// took over.
const handedOver = ".run.handover"

func (i instance) tookOver(run string) bool {
	said, _ := os.ReadFile(i.file + handedOver) // it may have said nothing
	return strings.TrimSpace(string(said)) == run+" done"
}

// handover waits until each instance says that it took over.
func (p *platform) handover(w work) error {
	w.report(object{"kind": "waiting", "text": w.Process + " to take over"})
	limit := time.Duration(w.limit) * time.Millisecond
	for began := time.Now(); ; {
		if done, err := p.probe(w.ticket, "handover", w.action); done || err != nil {
			return err
		}
		for _, one := range w.Instances {
			if i, _ := p.find(w.action, one.Instance); i.pid() == 0 {
				return failed("%s %s %s is gone", w.Service, w.Release, one.Instance)
			}
		}
		if limit > 0 && time.Since(began) > limit {
			return failed("nobody took over within %s", limit)
		}
		select {
		case <-w.Done():
			return &fault{Kind: "cancelled", Message: "it was waiting for instances to take over"}
		case <-time.After(look):
		}
	}
}

// smoke asks each instance each question once.
func (p *platform) smoke(w work) error {
	for _, one := range w.Instances {
		i, there := p.find(w.action, one.Instance)
		if !there || i.state() != "up" {
			return failed("%s %s %s is not up", w.Service, w.Release, one.Instance)
		}
		for _, c := range w.Checks {
			if err := c.ask(i); err != nil {
				return failed("%s %s %s: smoke %s: %s", w.Service, w.Release, one.Instance, c.Path, err)
			}
		}
	}
	return nil
}

// probe tells whether the effect of a step is there.
func (p *platform) probe(t ticket, kind string, a action) (bool, error) {
	switch kind {
	case "handover":
		return !slices.ContainsFunc(a.Instances, func(one placed) bool {
			i, there := p.find(a, one.Instance)
			return !there || !i.tookOver(cmp.Or(a.Run, t.Run))
		}), nil
	case "start":
		return !slices.ContainsFunc(a.Instances, func(one placed) bool {
			i, there := p.find(a, one.Instance)
			return !there || i.state() != "up" || i.SHA256 != a.Definition.Artifact.SHA256
		}), nil
	case "stop":
		return !slices.ContainsFunc(a.Instances, func(one placed) bool {
			_, there := p.find(a, one.Instance)
			return there
		}), nil
	case "smoke": // an answer is for the attempt that asked
		return false, nil
	}
	return p.routed(kind, a)
}
