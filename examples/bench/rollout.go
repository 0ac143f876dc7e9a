package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	fleet      = 4  // agents
	deploys    = 5  // one after the other, under load
	fewer      = 20 // instances of what goes one by one, and of the deploys under load
	clients    = 10 // that send requests all the time
	pause      = 20 * time.Millisecond
	largeHold  = "5s"
	largeCheck = "10s" // healthy_after
	smallCheck = "500ms"
)

// way is a strategy that is measured.
type way struct {
	name    string
	block   string
	large   bool // on all instances; otherwise on a few
	perHost bool // each agent has its part of them
}

var waysToRoll = []way{
	{"all_at_once", "all_at_once {}", true, false},
	{"rolling", "rolling {\n    batch = \"25%\"\n  }", true, false},
	{"canary", "canary {\n    step {\n      weight = 10\n      hold   = \"HOLD\"\n    }\n    step {\n      weight = 50\n    }\n  }", true, false},
	{"blue_green", "blue_green {\n    hold = \"HOLD\"\n  }", true, false},
	{"cycle", "cycle {}", true, false},
	{"one_by_one", "rolling {\n    batch = 1\n  }", false, false},
	{"handover", "handover {}", false, false},
}

// waysUnderLoad are those that clients may not notice either. What takes everything
// down has the router keep them waiting.
var waysUnderLoad = append(slices.Clone(waysToRoll),
	way{name: "stop_first", block: "rolling {\n    batch = \"100%\"\n    order = \"stop_first\"\n  }\n  hold_traffic = \"20s\""},
	way{name: "offline", block: "offline {}\n  hold_traffic = \"20s\""},
	way{name: "match", block: "canary {\n    step {\n      weight = 10\n      match {\n        header = \"X-Beta\"\n      }\n    }\n  }"},
	way{name: "per_host", block: "rolling {\n    batch = 1\n  }", perHost: true},
)

// stage is agents and a spec that is rolled out on them.
type stage struct {
	*bench
	db      database
	listen  string
	agents  []string
	endings []func() error
	release int
}

// rollouts measures how much longer each strategy takes than the waits in its plan
// add up to, and counts what clients suffer from deploys.
func (b *bench) rollouts(ctx context.Context) error {
	if b.options.instance == "" {
		b.leftOut("rollout", "there is no program to roll out")
		return nil
	}
	return b.emptied(ctx, func(d database) error { return b.rolled(ctx, d) })
}

func (b *bench) rolled(ctx context.Context, d database) (err error) {
	s := &stage{bench: b, db: d, release: 1}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.begin(fleet); err != nil {
		return err
	}
	took, err := s.warmRollback(ctx)
	if err != nil {
		return fmt.Errorf("back to a release that is kept: %w", err)
	}
	b.figure("rollback_warm_s", took.Seconds(), "s")
	worst, worstOfLoops := 0.0, 0.0
	for _, w := range waysToRoll {
		took, critical, err := s.measure(ctx, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		loop, err := s.loop(w)
		if err != nil {
			return fmt.Errorf("%s without pleat: %w", w.name, err)
		}
		s.talk("%s: %d instances, %.1f s, of which waits %.1f s; a loop has the same programs up and down in %.2f s",
			w.name, s.count(w), took.Seconds(), critical.Seconds(), loop.Seconds())
		ratio, ofLoop := took.Seconds()/critical.Seconds(), took.Seconds()/(critical+loop).Seconds()
		b.figure("rollout_vs_critical_path_"+w.name, ratio, "ratio")
		b.figure("rollout_vs_loop_"+w.name, ofLoop, "ratio")
		worst, worstOfLoops = max(worst, ratio), max(worstOfLoops, ofLoop)
	}
	b.figure("rollout_vs_critical_path", worst, "ratio")
	b.figure("rollout_vs_loop", worstOfLoops, "ratio")
	total := 0
	for _, w := range waysUnderLoad {
		failed, served, err := s.underLoad(ctx, w)
		if err != nil {
			return fmt.Errorf("%s under load: %w", w.name, err)
		}
		total += failed
		b.figure("deploy_requests_"+w.name, float64(served), "requests")
		b.figure("deploy_non_2xx_"+w.name, float64(failed), "requests")
	}
	b.figure("deploy_non_2xx", float64(total), "requests")
	return nil
}

// begin starts the agents and makes the releases: the same program, each with
// bytes of its own.
func (s *stage) begin(agents int) error {
	var err error
	if s.listen, err = unused(); err != nil {
		return err
	}
	for n := range agents {
		dir := filepath.Join(s.dir, fmt.Sprintf("agent%d", n))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		url := "unix://" + filepath.Join(dir, "sock")
		log, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			return err
		}
		cmd := exec.Command(s.options.pleat, "agent", "--listen", url, "--name", fmt.Sprintf("host%d", n), "--address", fmt.Sprintf("127.0.0.%d", n+1), "--state", dir)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			return err
		}
		s.agents = append(s.agents, url)
		s.endings = append(s.endings, func() error {
			return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait(), log.Close())
		})
		if err := listening("unix", filepath.Join(dir, "sock")); err != nil {
			return err
		}
	}
	program, err := os.ReadFile(s.options.instance)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.dir, s.db.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for n := range releases {
		own := append(bytes.Clone(program), fmt.Sprintf("release %d", n+1)...)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d", n+1)), own, 0o755); err != nil {
			return err
		}
	}
	return nil
}

const releases = 2

// end takes everything down.
func (s *stage) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.pleat(ctx, s.db, s.spec(waysToRoll[0], 0, smallCheck), "apply", "--auto-approve")
	errs := []error{err}
	for _, end := range s.endings {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (s *stage) spec(w way, count int, check string) string {
	number := fmt.Sprintf("count = %d", count)
	if w.perHost {
		number = fmt.Sprintf("per_host = true\n    count    = %d", count/fleet)
	}
	return fmt.Sprintf(`
variable "database_url" {
  type      = string
  sensitive = true
}
database "main" {
  url = var.database_url
}
orchestrator "host" "fleet" {
  agents = ["%s"]
}
router "proxy" "edge" {
  listen = "%s"
}
strategy "it" {
  %s
}
service "it" {
  router   = router.proxy.edge
  strategy = strategy.it
  release  = "r%d"
  process "web" {
    %s
    check "http" {
      interval      = "1s"
      healthy_after = "%s"
    }
    drain {
      timeout = "5s"
    }
  }
  release "each" {
    for_each = toset(["r1", "r2"])
    artifact {
      path   = each.key
      sha256 = filesha256(each.key)
    }
  }
}
`, strings.Join(s.agents, `", "`), s.listen, strings.ReplaceAll(w.block, "HOLD", largeHold), s.release, number, check)
}

// ready brings a strategy to its first release, and says what the next one is.
func (s *stage) ready(ctx context.Context, count int) error {
	_, err := s.pleat(ctx, s.db, s.spec(waysToRoll[0], count, smallCheck), "apply", "--auto-approve")
	return err
}

func (s *stage) next() { s.release = s.release%releases + 1 }

// count is how many instances a strategy is measured with.
func (s *stage) count(w way) int {
	switch {
	case !w.large:
		return fewer
	case w.name == "cycle": // it has two sets
		return s.options.instances / 2
	}
	return s.options.instances
}

// measure rolls one release out. Critical is what the waits in its plan add up to.
func (s *stage) measure(ctx context.Context, w way) (took, critical time.Duration, err error) {
	count, check := s.count(w), smallCheck
	if w.large {
		check = largeCheck
	}
	if err := s.ready(ctx, count); err != nil {
		return 0, 0, err
	}
	if w.name == "cycle" { // the second set
		if _, err := s.pleat(ctx, s.db, s.spec(w, count, smallCheck), "apply", "--auto-approve"); err != nil {
			return 0, 0, err
		}
	}
	s.next()
	if _, err := s.pleat(ctx, s.db, s.spec(w, count, check), "plan", "--out", "plan.json"); err != nil {
		return 0, 0, err
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, s.db.name, "plan.json"))
	if err != nil {
		return 0, 0, err
	}
	if critical, err = waits(raw); err != nil {
		return 0, 0, err
	}
	if critical == 0 {
		return 0, 0, errors.New("the plan waits for nothing, or it is read wrongly")
	}
	used, err := s.pleat(ctx, s.db, s.spec(w, count, check), "apply", "plan.json", "--auto-approve")
	return used.wall, critical, err
}

// loop is how long this machine takes, with nothing that looks after them, until
// as many of the programs as a strategy has listen, and until they are gone
// again: all at once, or one after the other.
func (s *stage) loop(w way) (time.Duration, error) {
	count := s.count(w)
	together := 1
	if w.large {
		together = count
	}
	free, err := unused()
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(free)
	if err != nil {
		return 0, err
	}
	upAndDown := func() error {
		stops, errs := make([]func(), together), make([]error, together)
		var programs sync.WaitGroup
		for i := range together { // each on an address of its own: none takes another's port
			programs.Go(func() { stops[i], errs[i] = s.backend(fmt.Sprintf("127.1.%d.%d:%s", i/250, i%250+1, port)) })
		}
		programs.Wait()
		for _, stop := range stops {
			if stop != nil {
				programs.Go(stop)
			}
		}
		programs.Wait()
		return errors.Join(errs...)
	}
	return timed(func() error {
		for range count / together {
			if err := upAndDown(); err != nil {
				return err
			}
		}
		return nil
	})
}

// waits is the least time that a saved plan can take: the health times and holds
// of its steps, one after the other.
func waits(plan []byte) (time.Duration, error) {
	var p struct {
		Steps []struct {
			Action struct {
				Pause struct {
					For time.Duration `json:"for_ns"`
				}
				Start struct {
					Definition struct {
						Checks []struct {
							HealthyAfter time.Duration `json:"healthy_after_ns"`
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(plan, &p); err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, step := range p.Steps {
		sum += step.Action.Pause.For
		var longest time.Duration
		for _, c := range step.Action.Start.Definition.Checks {
			longest = max(longest, c.HealthyAfter)
		}
		sum += longest
	}
	return sum, nil
}

// underLoad deploys one release after the other while clients send requests that
// may not be sent twice, and counts those that got no 2xx.
func (s *stage) underLoad(ctx context.Context, w way) (failed, served int, err error) {
	if err := s.ready(ctx, fewer); err != nil {
		return 0, 0, err
	}
	var bad, all atomic.Int64
	loading, stop := context.WithCancel(ctx)
	var sending sync.WaitGroup
	for range clients {
		sending.Go(func() { send(loading, "http://"+s.listen+"/", &all, &bad) })
	}
	for range deploys {
		s.next()
		spec := strings.ReplaceAll(s.spec(w, fewer, "100ms"), largeHold, "200ms")
		if _, err = s.pleat(ctx, s.db, spec, "apply", "--auto-approve"); err != nil {
			break
		}
	}
	stop()
	sending.Wait()
	return int(bad.Load()), int(all.Load()), err
}

// send posts until ctx ends: what is posted, no proxy may send twice.
func send(ctx context.Context, url string, all, bad *atomic.Int64) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		answer, err := client.Post(url, "text/plain", nil)
		all.Add(1)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			err = errors.Join(err, answer.Body.Close())
		}
		if err != nil || answer.StatusCode/100 != 2 {
			bad.Add(1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
