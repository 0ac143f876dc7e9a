package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// killedCommand deploys r2 and r1 by turns. The Nth deploy is killed the Nth time
// that it reaches POINT, and applied again; it goes on until POINT is not reached
// so often. Each must tell what WANT says, with NEW and OLD for the releases, in
// that order and apart from what is told twice; must end with the new release
// alone; and must have started each instance once, which the instances write to
// $SOCKETS/starts. Without PLEAT_TEST_LONG, N is every third number.
//
//	killed POINT WANT
func killedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: killed POINT WANT")
	}
	stride := 3
	if os.Getenv("PLEAT_TEST_LONG") != "" {
		stride = 1
	}
	d := killedDeploy{ts: ts, scene: sceneOf(ts), point: args[0], want: ts.ReadFile(args[1])}
	for n, turns := 1, 0; d.run(n, turns); n, turns = n+stride, turns+1 {
	}
	if d.kills < 5 {
		ts.Fatalf("%s was reached %d times", d.point, d.kills)
	}
	fmt.Fprintf(ts.Stdout(), "killed %d times\n", d.kills)
}

// killedDeploy is one deploy after the other, each killed once.
type killedDeploy struct {
	ts          *testscript.TestScript
	scene       *scene
	point, want string
	kills       int
}

// run is one of them. False: the point is not reached so often.
func (d *killedDeploy) run(n, turns int) bool {
	turn(d.ts, turns)
	fresh, old := "r2", "r1"
	if turns%2 == 1 {
		fresh, old = old, fresh
	}
	starts := filepath.Join(d.scene.sockets, "starts")
	d.ts.Check(os.WriteFile(starts, nil, 0o644))
	events := d.ts.MkAbs(fmt.Sprintf("killed%d.jsonl", n))
	killed := d.apply(events, "PLEAT_CRASH="+d.point+":"+strconv.Itoa(n)) != 0
	if killed {
		d.kills++
		if code := d.apply(events, "PLEAT_CRASH="); code != 0 {
			d.ts.Fatalf("after %s %d: exit code %d\n%s", d.point, n, code, d.ts.ReadFile("apply.err"))
		}
	}
	d.compare(n, "story", d.story(events, fresh, old), d.want)
	d.compare(n, "live", strings.Join(d.scene.instances(d.ts, false, []string{"one"}), ""), fresh+" printer.1 up\n"+fresh+" printer.2 up\n")
	d.compare(n, "starts", d.ts.ReadFile(starts), fresh+" printer.1\n"+fresh+" printer.2\n")
	return killed
}

func (d *killedDeploy) apply(events, crash string) int {
	beginCommand(d.ts, false, []string{"apply", crash, "pleat", "apply", "--auto-approve", "--events", events})
	p := d.scene.background["apply"]
	<-p.ended
	return exitCode(d.ts, p.howItEnded)
}

func (d *killedDeploy) compare(n int, what, got, want string) {
	if got != want {
		d.ts.Fatalf("killed at %s %d, %s:\n%swant:\n%s", d.point, n, what, got, want)
	}
}

// story is what the events tell of instances and the run, each once.
func (d *killedDeploy) story(events, fresh, old string) string {
	b, err := os.ReadFile(events)
	d.ts.Check(err)
	var told []string
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var e struct{ Type, Status, Release, Instance, State string }
		d.ts.Check(json.Unmarshal([]byte(line), &e))
		text := "run " + e.Status
		if e.Type == "instance" {
			text = fmt.Sprintf("%s %s %s", strings.NewReplacer(fresh, "NEW", old, "OLD").Replace(e.Release), e.Instance, e.State)
		}
		if (e.Type == "instance" || e.Type == "run") && !slices.Contains(told, text) {
			told = append(told, text)
		}
	}
	return strings.Join(told, "\n") + "\n"
}
