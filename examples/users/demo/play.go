package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"pleat/examples/users/load/traffic"
)

// play is the demo's story.
type play struct {
	options
	out   talk
	stage *stage
}

// The releases of the story.
const (
	old    = "1.0.1"
	right  = "2.0.2" // needs the change split_name
	broken = "2.0.3" // crashes on start
)

// pleat's exit codes that the story is about.
const (
	done       = 0
	rolledBack = 3
)

func (p *play) run(ctx context.Context) error {
	begun := time.Now()
	if err := p.bringUp(ctx); err != nil {
		return err
	}
	p.out.heading(fmt.Sprintf("Load: %.0f requests a second, until the end", p.rate))
	p.out.line("Each is checked: not 2xx, not answered, or not what was written is an error.")
	l := begin(ctx, traffic.Options{
		URL: "http://" + p.stage.listen, Rate: p.rate, Known: p.users, Name: name,
	})
	failed := p.deploy(ctx)
	s, err := l.end()
	if failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	return p.judge(ctx, s, time.Since(begun))
}

// bringUp starts the old release on an empty database, and fills that.
func (p *play) bringUp(ctx context.Context) error {
	p.out.heading("Release " + old + " on an empty database")
	if err := copySpec(p.spec, p.dir()); err != nil {
		return err
	}
	p.out.command("cd", p.dir())
	if err := p.apply(ctx, done, old); err != nil {
		return err
	}
	if err := seed(ctx, p.stage.postgres.URL("postgres"), p.users); err != nil {
		return err
	}
	p.out.line("\n%s users inserted.", thousands(p.users))
	return nil
}

// deploy is what the demo is for: the right release, then the broken one.
func (p *play) deploy(ctx context.Context) error {
	p.out.heading("Release " + right + " comes with a change: users(first, last)")
	text, err := addChange(p.spec, p.dir())
	if err != nil {
		return err
	}
	p.out.line("%s", text)
	if err := p.pleat(ctx, done, "plan", "--var", "release="+right); err != nil {
		return err
	}
	p.out.heading("Do it")
	if err := p.apply(ctx, done, right); err != nil {
		return err
	}
	p.out.heading("A release that crashes on start: " + broken)
	if err := p.apply(ctx, rolledBack, broken); err != nil {
		return err
	}
	p.out.line("\nExit code %d: it failed and was rolled back. What is live:\n", rolledBack)
	return p.pleat(ctx, done, "status", "--var", "release="+right)
}

func (p *play) apply(ctx context.Context, want int, release string) error {
	drop := p.stage.postgres.Address() + "/postgres:users.name"
	return p.pleat(ctx, want, "apply", "--auto-approve", "--var", "release="+release, "--acknowledge", drop, "--events", p.events())
}

// dir is a copy of the example's directory.
func (p *play) dir() string { return filepath.Join(p.stage.dir, "users") }

func (p *play) events() string { return filepath.Join(p.stage.dir, "events") }

// pleat runs a command in the spec's directory; another exit code than want is
// an error.
func (p *play) pleat(ctx context.Context, want int, args ...string) error {
	p.out.command(append([]string{"pleat"}, args...)...)
	code, err := program{
		path: p.options.pleat, dir: p.dir(), out: p.out.Writer,
		env: []string{
			"PLEAT_VAR_database_url=" + p.stage.postgres.URL("postgres"),
			"PLEAT_VAR_agent=" + p.stage.agent,
			"PLEAT_VAR_listen=" + p.stage.listen,
		},
	}.run(ctx, args...)
	if err != nil {
		return err
	}
	if code != want {
		return fmt.Errorf("pleat %s: exit code %d, want %d; the agent says:\n%s",
			strings.Join(args, " "), code, want, tail(filepath.Join(p.stage.dir, "agent.log")))
	}
	return nil
}

// judge prints the summary. What must not be is an error.
func (p *play) judge(ctx context.Context, s traffic.Summary, took time.Duration) error {
	good, err := intact(ctx, p.stage.postgres.URL("postgres"), p.users)
	if err != nil {
		return fmt.Errorf("reading users back: %w", err)
	}
	steps, err := stepsDone(p.events())
	if err != nil {
		return err
	}
	p.out.heading("Summary")
	fmt.Fprint(p.out, s.Lines())
	p.out.fact("users", "%s of %s have their name", thousands(good), thousands(p.users))
	p.out.fact("steps", "%d", steps)
	p.out.fact("time", "%.0f s", took.Seconds())
	if s.Errors > 0 {
		return fmt.Errorf("%d of %d requests failed", s.Errors, s.Requests)
	}
	if good != p.users {
		return fmt.Errorf("%d users lost their name", p.users-good)
	}
	return nil
}
