package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// process is one that runs on this machine.
type process struct {
	pid  int
	argv []string
}

// pleatIn matches the agent that keeps its files in dir, and an apply that
// writes its events there.
func pleatIn(dir string) func(process) bool {
	return func(p process) bool {
		return filepath.Base(p.argv[0]) == "pleat" && slices.ContainsFunc(p.argv, within(dir))
	}
}

// instanceIn matches programs that lie in dir: an agent runs instances from
// its store of artifacts.
func instanceIn(dir string) func(process) bool {
	return func(p process) bool { return within(dir)(p.argv[0]) }
}

func within(dir string) func(path string) bool {
	return func(path string) bool { return strings.HasPrefix(path, dir+"/") }
}

// processes lists those that match, this one left out.
func processes(match func(process) bool) ([]process, error) {
	all, err := fromProc()
	if errors.Is(err, os.ErrNotExist) {
		all, err = fromPS()
	}
	return slices.DeleteFunc(all, func(p process) bool {
		return p.pid == os.Getpid() || len(p.argv) == 0 || !match(p)
	}), err
}

// fromProc reads Linux's list; elsewhere it is os.ErrNotExist. A zombie has
// no arguments and so matches nothing.
func fromProc() ([]process, error) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		return nil, os.ErrNotExist
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, file := range files {
		line, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		all = append(all, process{pid, words(string(bytes.TrimRight(line, "\x00")), "\x00")})
	}
	return all, nil
}

// fromPS asks ps, for systems without /proc.
func fromPS() ([]process, error) {
	out, err := exec.Command("ps", "-axww", "-o", "pid=,args=").Output()
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var all []process
	for line := range strings.Lines(string(out)) {
		id, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("listing processes: %w", err)
		}
		all = append(all, process{pid, words(strings.TrimSpace(args), " ")})
	}
	return all, nil
}

func words(line, separator string) []string {
	if line == "" {
		return nil
	}
	return strings.Split(line, separator)
}
