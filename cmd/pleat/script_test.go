package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"pleat/examples/cluster/node"
	"pleat/providers/postgres/pgtest"
)

// TestMain makes the test binary be pleat, app, which is a service for scripts, and
// cluster, the node of examples/cluster.
func TestMain(m *testing.M) {
	testscript.Main(waiting{m}, map[string]func(){
		"pleat":   func() { setClock(os.Getenv("PLEAT_TEST_CLOCK")); os.Exit(Main()) },
		"app":     func() { os.Exit(serve(os.Args[1:])) },
		"cluster": node.Main,
	})
}

// setClock has pleat begin at another instant: in a script, with the variable
// PLEAT_TEST_CLOCK.
func setClock(to string) {
	if to == "" {
		return
	}
	at, err := time.Parse(time.RFC3339, to)
	if err != nil {
		panic(err)
	}
	began := time.Now()
	clock = func() time.Time { return at.Add(time.Since(began)) }
}

// waiting runs twice as many tests at a time as there are processors, unless it is
// told otherwise: they wait for health, holds and drains more than they work.
type waiting struct{ *testing.M }

// Run is called where the program is not one of the scripts' commands.
func (w waiting) Run() int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
	}
	return w.M.Run()
}

// TestScripts runs testdata/script/*.txtar, each on a database, agents and a
// port of its own. docs of the commands are at their functions.
func TestScripts(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	stage := &stage{t: t, dir: here, postgres: pgtest.New(t), users: buildUsers(here, t.TempDir()), platform: buildPlatform(here, t.TempDir())}
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		Setup:               stage.setup,
		UpdateScripts:       *updateScripts,
		RequireExplicitExec: true,
		Condition:           condition,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"agent":       agentCommand,
			"sql":         sqlCommand,
			"session":     sessionCommand,
			"instances":   instancesCommand,
			"sequence":    sequenceCommand,
			"eventually":  eventuallyCommand,
			"get":         getCommand,
			"answers":     answersCommand,
			"load":        loadCommand,
			"sample":      sampleCommand,
			"replace":     replaceCommand,
			"visitors":    visitorsCommand,
			"prometheus":  prometheusCommand,
			"users":       stage.usersCommand,
			"platform":    stage.platformCommand,
			"exits":       exitsCommand,
			"begin":       beginCommand,
			"signal":      signalCommand,
			"finish":      finishCommand,
			"clients":     clientsCommand,
			"send":        sendCommand,
			"terminal":    terminalCommand,
			"foreign":     foreignCommand,
			"secret":      secretCommand,
			"certificate": stage.certificateCommand,
			"network":     stage.networkCommand,
			"retime":      retimeCommand,
			"fingerprint": fingerprintCommand,
			"holder":      holderCommand,
			"listener":    listenerCommand,
			"bounds":      boundsCommand,
			"stream":      streamCommand,
			"contend":     contendCommand,
			"chain":       chainCommand,
			"carry":       carryCommand,
			"die":         dieCommand,
			"killed":      killedCommand,
			"stray":       strayCommand,
		},
	})
}

// stage is what scripts share.
type stage struct {
	t        *testing.T
	dir      string // of this package
	postgres *pgtest.Server
	users    func() (string, error) // where the releases of examples/users are
	platform func() (string, error) // where examples/exec is
	serial   atomic.Int64
}

// setup gives a script its own database ($DATABASE_URL, which is $DATABASE at
// $SERVER), the name of a role that it may make ($ROLE), a short directory for
// sockets ($SOCKETS), two free addresses ($LISTEN, $FREE), and how many rows a
// table that is filled has ($ROWS) in batches of how many ($BATCH): a scenario's
// own figures with PLEAT_TEST_LONG.
func (s *stage) setup(env *testscript.Env) error {
	name := fmt.Sprintf("script_%d_%d", os.Getpid(), s.serial.Add(1))
	if err := s.postgres.Create(s.t.Context(), name, "template1"); err != nil {
		return err
	}
	sockets, err := os.MkdirTemp("", "pleat")
	if err != nil {
		return err
	}
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	free, err := freeAddress()
	if err != nil {
		return err
	}
	w := newScene(s.postgres.URL(name), sockets)
	env.Values[sceneKey{}] = w
	env.Defer(func() {
		w.clear(context.Background())
		if races := w.races(); races != "" {
			s.t.Errorf("an agent in %s:\n%s", env.WorkDir, races)
		}
		s.postgres.Exec(s.t, "drop database if exists "+name+" with (force)")
		s.postgres.Exec(s.t, "drop role if exists "+name)
	})
	env.Setenv("SERVER", s.postgres.Address())
	env.Setenv("DATABASE", name)
	env.Setenv("ROLE", name)
	rows, batch := "20000", "500"
	if pgtest.Long() {
		rows, batch = "300000", "10000"
	}
	env.Setenv("ROWS", rows)
	env.Setenv("BATCH", batch)
	env.Setenv("FREE", free)
	env.Setenv("DATABASE_URL", w.url)
	env.Setenv("PLEAT_VAR_database_url", w.url)
	env.Setenv("SOCKETS", sockets)
	env.Setenv("PLEAT_VAR_sockets", sockets)
	env.Setenv("LISTEN", listen)
	env.Setenv("PLEAT_VAR_listen", listen)
	env.Setenv("PLEAT_VAR_agent", "unix://"+filepath.Join(sockets, "one.sock"))
	env.Setenv("PLEAT_VAR_release", "1.0.1")
	env.Setenv("NO_COLOR", "1")
	env.Setenv("GORACE", promptExit)
	w.remember(env.Vars)
	return artifacts(filepath.Join(env.WorkDir, "bin"))
}

// promptExit keeps the race detector from sleeping for a second at each exit.
const promptExit = "atexit_sleep_ms=0"

// artifacts makes the scripts' releases, bin/r1 to bin/r9: each a program of
// its own digest that becomes app.
func artifacts(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for n := 1; n <= 9; n++ {
		program := fmt.Sprintf("#!/bin/sh\n# release %d\nGORACE=%s exec app \"$@\"\n", n, promptExit)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d", n)), []byte(program), 0o755); err != nil {
			return err
		}
	}
	return nil
}
