package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// action is what the actions that this platform can do have, together.
type action struct {
	Service, Release, Process string
	Instances                 []placed
	Definition                definition
	MaxStartFailures          int `json:"max_start_failures"`
	Leave                     struct {
		Signal    string
		KillAfter int64 `json:"kill_after_ms"`
	}
	Checks   []check
	Backends []placed
	Timeout  int64 `json:"timeout_ms"`
	Floor    int
	By       string
	Run      string // whose word is waited for, where it is not this one's
	Shares   []share
}

type placed struct{ Instance, Host, Address string }

type definition struct {
	Artifact     struct{ Path, SHA256 string }
	Command      []string
	Env          map[string]string
	DatabaseURLs map[string]map[string]string `json:"database_urls"`
	Checks       []check
}

// work is an action that is applied.
type work struct {
	context.Context
	action
	ticket   ticket
	limit    int64
	progress int64
	stay     int64
	report   func(object)
}

// platform is a directory. Several processes may use it: what changes something
// has its lock.
type platform struct{ kind, dir, listen string }

func (p *platform) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

// open makes the directory, and gives it the name that it keeps.
func (p *platform) open() error {
	for _, dir := range []string{"artifacts", "instances"} {
		if err := os.MkdirAll(p.path(dir), 0o700); err != nil {
			return err
		}
	}
	return p.locked(func() error {
		if _, err := os.Stat(p.path("id")); err == nil {
			return nil
		}
		return write(p.path("id"), rand.Text())
	})
}

func (p *platform) identity() string {
	var id string
	_ = read(p.path("id"), &id) // without one, pleat takes no plan for it
	return id
}

// locked runs f alone. The lock ends with the process.
func (p *platform) locked(f func() error) error {
	l, err := os.OpenFile(p.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return f()
}

// admit refuses whoever has lost the lease, and remembers who has it.
func (p *platform) admit(t ticket) error {
	fences := map[string]int64{}
	if err := read(p.path("fences"), &fences); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lease := t.Authority + " " + t.Lease
	if known := fences[lease]; t.Fence < known {
		return &fault{Kind: "fenced", Message: fmt.Sprintf("the lease has moved on from fence %d to %d", t.Fence, known)}
	} else if t.Fence == known {
		return nil
	}
	fences[lease] = t.Fence
	return write(p.path("fences"), fences)
}

// write puts a whole file in the place of the one before.
func write(path string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func read(path string, value any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, value)
}

// keep copies an artifact, unless it is there. pleat has looked whether it is
// what its digest says; it may have changed since.
func (p *platform) keep(d definition) error {
	kept := p.path("artifacts", d.Artifact.SHA256)
	if _, err := os.Stat(kept); err == nil {
		return nil
	}
	from, err := os.Open(d.Artifact.Path)
	if err != nil {
		return failed("reading the artifact: %s", err)
	}
	defer from.Close()
	to, err := os.CreateTemp(p.path("artifacts"), "new-")
	if err != nil {
		return err
	}
	defer os.Remove(to.Name())
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, sum), from)
	if err := errors.Join(err, to.Chmod(0o755), to.Close()); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != d.Artifact.SHA256 {
		return failed("the artifact %s is not %s any more", d.Artifact.Path, d.Artifact.SHA256)
	}
	return os.Rename(to.Name(), kept)
}

func (p *platform) ask(params json.RawMessage) (any, error) {
	var q struct {
		Kind     string
		Question struct {
			Service          string
			Versions, Except []string
			SHA256           string
		}
	}
	if err := json.Unmarshal(params, &q); err != nil {
		return nil, err
	}
	switch about := q.Question; q.Kind {
	case "has_artifact":
		_, err := os.Stat(p.path("artifacts", about.SHA256))
		return object{"met": err == nil, "reason": "it was never here"}, nil
	case "no_instances":
		all, err := p.instances()
		var left []string
		for _, i := range all {
			named := slices.Contains(about.Versions, i.Release) || len(about.Versions) == 0 && !slices.Contains(about.Except, i.Release)
			if i.Service == about.Service && named && i.state() != "down" {
				left = append(left, i.Release+" "+i.Instance)
			}
		}
		return object{"met": len(left) == 0, "reason": "there is " + strings.Join(left, ", ")}, err
	}
	return nil, failed("it knows nothing of %s", q.Kind)
}
