package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// platformCommand puts examples/exec into the script's directory: its spec
// exec.pleat.hcl, bin/platform, and the releases bin/hello-1 and bin/hello-2. What
// the platform knows is in $SOCKETS/platform, and it listens at $LISTEN. With
// -mortal its program is killed where there is a file "die", which is then called
// "died".
//
//	platform [-mortal]
func (s *stage) platformCommand(ts *testscript.TestScript, neg bool, args []string) {
	mortal := len(args) == 1 && args[0] == "-mortal"
	if neg || len(args) > 0 && !mortal {
		ts.Fatalf("usage: platform [-mortal]")
	}
	built, err := s.platform()
	ts.Check(err)
	for _, name := range []string{"platform", "hello-1", "hello-2"} {
		ts.Check(os.Link(filepath.Join(built, name), ts.MkAbs(filepath.Join("bin", name))))
	}
	source, err := os.ReadFile(filepath.Join(s.dir, "../../examples/exec/exec.pleat.hcl"))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("exec.pleat.hcl"), source, 0o644))
	if mortal {
		ts.Check(os.Rename(ts.MkAbs("bin/platform"), ts.MkAbs("bin/immortal")))
		ts.Check(os.WriteFile(ts.MkAbs("bin/platform"), []byte(mortalProgram), 0o755))
	}
	ts.Setenv("PLEAT_VAR_state_url", ts.Getenv("DATABASE_URL"))
	ts.Setenv("PLEAT_VAR_dir", filepath.Join(ts.Getenv("SOCKETS"), "platform"))
	sceneOf(ts).remember([]string{"PLEAT_VAR_state_url=", "PLEAT_VAR_dir="})
}

// mortalProgram kills the platform when it is told to.
const mortalProgram = `#!/bin/sh
exec 3<&0
bin/immortal <&3 3<&- &
while kill -0 $! 2>/dev/null; do
	[ -e die ] && kill -9 $! && mv die died
	sleep 0.02
done
wait $!
`

// buildPlatform builds examples/exec once, when it is first wanted.
func buildPlatform(here, dir string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		for _, b := range [][]string{
			{"platform", "", "examples/exec"},
			{"hello-1", "-X main.release=1", "examples/exec/hello"},
			{"hello-2", "-X main.release=2", "examples/exec/hello"},
		} {
			cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", b[1], "-o", filepath.Join(dir, b[0]), "./"+b[2])
			cmd.Dir = filepath.Join(here, "../..")
			if out, err := cmd.CombinedOutput(); err != nil {
				return "", fmt.Errorf("building %s: %w\n%s", b[2], err, out)
			}
		}
		return dir, nil
	})
}
