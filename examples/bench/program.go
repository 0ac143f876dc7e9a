package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// usage is what a process took, from its start to its end.
type usage struct {
	wall time.Duration
	cpu  time.Duration // user and system
}

// errUnsupported is a spec that this pleat refuses by name.
var errUnsupported = errors.New("this pleat does not support it yet")

// unsupported is how the diagnostics of such a spec begin.
var unsupported = regexp.MustCompile(`Error: (Not supported yet|Unsupported (argument|block type))`)

// pleat applies, plans, … the spec in a directory of its own.
func (b *bench) pleat(ctx context.Context, d database, spec string, args ...string) (usage, error) {
	dir := filepath.Join(b.dir, d.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return usage{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.pleat.hcl"), []byte(spec), 0o600); err != nil {
		return usage{}, err
	}
	u, out, err := process(ctx, dir, []string{"PLEAT_VAR_database_url=" + d.url}, b.options.pleat, args...)
	if err != nil && unsupported.MatchString(out) {
		return u, errUnsupported
	}
	return u, err
}

// apply carries a spec out. Drops are acknowledged, and what needs longer than
// no time at all is deferred.
func (b *bench) apply(ctx context.Context, d database, spec string, drops ...string) (usage, error) {
	args := []string{"apply", "--auto-approve", "--wait", "1ms", "--allow-hazards", "unclassified_sql"}
	for _, object := range drops {
		args = append(args, "--acknowledge", b.postgres.Address()+"/"+d.name+":"+object)
	}
	return b.pleat(ctx, d, spec, args...)
}

// process runs a program to its end; another exit code than 0 is an error that
// says what the program said last.
func process(ctx context.Context, dir string, env []string, path string, args ...string) (usage, string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	wall, err := timed(cmd.Run)
	if err != nil {
		text := out.String()
		return usage{}, text, fmt.Errorf("%s %s: %w\n%s", filepath.Base(path), strings.Join(args, " "), err, text[max(0, len(text)-2000):])
	}
	return usage{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, out.String(), nil
}

// header is what all specs begin with.
const header = `variable "database_url" {
  type      = string
  sensitive = true
}

database "main" {
  url = var.database_url
}
`

// prepare brings the tool's own tables into a database, which is no part of
// what is measured.
func (b *bench) prepare(ctx context.Context, d database) error {
	_, err := b.apply(ctx, d, header)
	return err
}

// baseline does the same for pgroll.
func (b *bench) baseline(ctx context.Context, d database) error {
	if err := b.roll(ctx, d, "init"); err != nil {
		return err
	}
	return b.roll(ctx, d, "baseline", "01_baseline", "history", "--yes")
}

// roll runs pgroll, which ends with 0 also when it did nothing: what came of
// it has to be looked at.
func (b *bench) roll(ctx context.Context, d database, args ...string) error {
	dir := filepath.Join(b.dir, d.name)
	if err := os.MkdirAll(filepath.Join(dir, "history"), 0o700); err != nil {
		return err
	}
	_, _, err := process(ctx, dir, nil, b.options.pgroll, append([]string{"--postgres-url", d.url}, args...)...)
	return err
}

// rollFile is the file of pgroll's one migration, which is also the name of
// the schema where its new version is served.
const (
	rollName   = "02_change"
	rollSchema = "public_" + rollName
)

// rollStart begins a migration of these operations.
func (b *bench) rollStart(ctx context.Context, d database, operations string) error {
	file := filepath.Join(b.dir, d.name, rollName+".yaml")
	if err := os.WriteFile(file, []byte("operations:\n"+operations), 0o600); err != nil {
		return err
	}
	return b.roll(ctx, d, "start", file)
}
