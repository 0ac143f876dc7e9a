package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/rogpeppe/go-internal/testscript"
)

// userReleases are the releases of examples/users.
var userReleases = []string{"1.0.0", "1.0.1", "2.0.0", "2.0.2", "2.0.3", "2.0.4"}

// short are the example's times and counts as scripts have them.
var short = [][2]string{
	{"count = 3", "count = 2"},
	{`interval      = "200ms"`, `interval      = "50ms"`},
	{`healthy_after = "1s"`, `healthy_after = "100ms"`},
	{`soak = "3s"`, `soak = "500ms"`},
	{`hide = "2s"`, `hide = "500ms"`},
}

// usersCommand puts the example service into the script's directory: its spec
// users.pleat.hcl with short times, and bin/users-RELEASE for each of its
// releases. $PLEAT_VAR_release is the one that is wanted, on the agent "one".
// With -before it is the spec as it was before the change split_name, without
// the releases that know it.
//
//	users [-before]
func (s *stage) usersCommand(ts *testscript.TestScript, neg bool, args []string) {
	before := len(args) == 1 && args[0] == "-before"
	if neg || len(args) > 0 && !before {
		ts.Fatalf("usage: users [-before]")
	}
	built, err := s.users()
	ts.Check(err)
	for _, release := range userReleases {
		if err := os.Link(filepath.Join(built, "users-"+release), ts.MkAbs("bin/users-"+release)); !errors.Is(err, os.ErrExist) {
			ts.Check(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "../../examples/users/users.pleat.hcl"))
	ts.Check(err)
	text := string(b)
	for _, r := range short {
		if !strings.Contains(text, r[0]) {
			ts.Fatalf("the example has no %q", r[0])
		}
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	if before {
		text = withoutSplit(ts, text)
	}
	ts.Check(os.WriteFile(ts.MkAbs("users.pleat.hcl"), []byte(text), 0o644))
}

// withoutSplit takes the change split_name out of a spec, and every release
// that mentions it.
func withoutSplit(ts *testscript.TestScript, source string) string {
	f, diags := hclwrite.ParseConfig([]byte(source), "users.pleat.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		ts.Fatalf("%s", diags)
	}
	for _, b := range f.Body().Blocks() {
		if b.Type() == "change" && b.Labels()[0] == "split_name" {
			f.Body().RemoveBlock(b)
			continue
		}
		for _, release := range b.Body().Blocks() {
			if bytes.Contains(release.BuildTokens(nil).Bytes(), []byte("change.split_name")) {
				b.Body().RemoveBlock(release)
			}
		}
	}
	return string(f.Bytes())
}

// buildUsers gives a function that builds the releases at its first call and
// tells where they are.
func buildUsers(dir, into string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		for _, release := range userReleases {
			build := exec.Command("go", "build", "-ldflags", "-s -w -X main.version="+release,
				"-o", filepath.Join(into, "users-"+release), "pleat/examples/users")
			build.Dir = dir
			if out, err := build.CombinedOutput(); err != nil {
				return "", fmt.Errorf("building users %s: %w\n%s", release, err, out)
			}
		}
		return into, nil
	})
}
