package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pleat/executor/lease"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

type statusOptions struct {
	watch    bool
	interval time.Duration
}

func newStatusCommand(a *app) *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use: "status", Short: "Say what is live", Args: cobra.NoArgs,
		Long: "Shows the live releases of each service and which instances end again and again,\nhow far each change has come, what is put off and why, releases on hold, when\nwindows open and close, and the run that is on or was cut short." +
			exitHelp("0 shown", "1 something cannot be read", "130 interrupted while it watched"),
		RunE: func(c *cobra.Command, _ []string) error { return a.status(c.Context(), o) },
	}
	c.Flags().BoolVarP(&o.watch, "watch", "w", false, "show it, and all instances, until interrupted: on a terminal in place, elsewhere again at each change")
	c.Flags().DurationVar(&o.interval, "interval", usualInterval, "how often --watch looks")
	c.Flags().BoolVar(&a.json, "json", false, "the state as JSON")
	return c
}

func (a *app) status(ctx context.Context, o statusOptions) (err error) {
	if o.watch && a.json {
		return &usageError{errors.New("--watch is for people; for programs there is pleat events --follow")}
	}
	sp, err := a.load()
	if err != nil {
		return err
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	if o.watch {
		return a.watchStatus(ctx, w, o.interval)
	}
	st, unknown, err := w.look(ctx, planner.ScopeOf(sp))
	unread := errors.Join(unknown.problems()...)
	if err != nil || unread != nil && a.json {
		return errors.Join(err, unread)
	}
	if a.json {
		return a.printJSON(st)
	}
	return errors.Join(a.writeStatus(ctx, a.out, w, st, unknown), unread)
}

// writeStatus shows a state, and of which services it has not everything.
func (a *app) writeStatus(ctx context.Context, out io.Writer, w *world, st *planner.State, unknown silent) error {
	if s := w.spec; len(s.Services)+len(s.Changes)+len(s.Migrations) == 0 {
		fmt.Fprintln(out, "The spec has no services, changes or migrations.")
	}
	phases := planner.Phases(w.spec, st)
	waits := w.pending(st, phases)
	var t sheet
	for _, s := range w.spec.Services {
		lines := releaseLines(s, st)
		if unknown[s.Orchestrator.Address()] != nil {
			lines = append(slices.DeleteFunc(lines, func(l string) bool { return l == nothingRuns }), "what runs where no agent answers is not known")
		}
		for _, line := range lines {
			t.add(string(s.Address()), line)
		}
		if why := waits[s.Address()]; why != "" {
			t.add("", why)
		}
		t.add("", restartLines(s.Name, st)...)
	}
	for _, name := range strangers(w.spec, st) {
		for _, line := range releaseLines(&spec.Service{Name: name}, st) {
			t.add("service."+name, line+", not in the spec")
		}
	}
	for _, p := range phases {
		t.add("change."+p.Change, string(p.Phase))
		if why := waits[spec.Address("change."+p.Change)]; why != "" {
			t.add("", why)
		}
	}
	w.insecure(&t)
	for _, d := range w.spec.Databases {
		for _, name := range st.Databases[d.Name].Left {
			t.add("change."+name, fmt.Sprintf("half way in %s, and not in the spec", d.Address()))
		}
	}
	fills, err := w.fills(ctx)
	if err != nil {
		return err
	}
	for _, f := range fills {
		if !f.Finished {
			t.add("change."+f.Change, fmt.Sprintf("back-fill of %s: %s", f.Table, fillText(f)))
		}
	}
	for _, m := range w.spec.Migrations {
		t.add(string(m.Address()), versionLine(st.Databases[m.Database.Name].Versions[m.Name], m.Version))
	}
	for _, r := range st.Journal.Releases {
		if r.Held != "" {
			t.add("service."+r.Service, fmt.Sprintf("%s on hold: %s", r.Version, r.Held))
		}
	}
	for _, window := range w.spec.Windows {
		t.add(string(window.Address()), windowLines(window, st.Now)...)
	}
	if st.Journal.Open != nil {
		t.add("run", runLines(st.Journal.Open, holding(ctx, w))...)
	}
	return t.write(out, a.width(a.out)-1)
}

// insecure adds which databases, each once, are spoken to without anybody knowing them
// for certain.
func (w *world) insecure(t *sheet) {
	said := map[spec.Text]bool{}
	for _, s := range stores(w.spec) {
		if host := conn.Unverified(s.url); host != "" && !(s.name == "state" && said[s.url]) {
			t.add(s.name, planner.UnverifiedHost(host))
		}
		said[s.url] = true
	}
}

// versionLine is where a golang-migrate directory is: "1681826233".
func versionLine(live planner.Version, wanted uint64) string {
	text := versionText(live)
	if live.Version != wanted {
		text += fmt.Sprintf(", the spec says %d", wanted)
	}
	return text
}

// runLines say whether the open run is on, at which step, and under whose lease. They
// stay the same while it goes on with that step.
func runLines(run *planner.Run, held *lease.Holder) []string {
	if held == nil {
		return []string{run.ID + " was cut short", goOn(run.Kind)}
	}
	if len(held.Lacks) > 0 {
		return []string{fmt.Sprintf("%s (lease %s)", held, held.ID)}
	}
	lines := []string{
		held.Run + " since " + held.Since.UTC().Format(time.RFC3339),
		fmt.Sprintf("by %s on %s (pid %d), lease %s", held.Who, held.Host, held.PID, held.ID),
	}
	if held.Step != "" {
		lines = slices.Insert(lines, 1, "at step "+held.Step)
	}
	if held.Asked.Sub(held.Beat) > fewBeats {
		lines = append(lines, "no heartbeat since "+held.Beat.UTC().Format(time.RFC3339))
	}
	return lines
}

// fewBeats is after how long without a heartbeat, of which there is one each 5
// seconds, it is said.
const fewBeats = 12 * time.Second

// holding is who carries out the open run; nil where nobody does, as far as can
// be told.
func holding(ctx context.Context, w *world) *lease.Holder {
	held, err := lease.Show(ctx, w.spec.State.URL, environment)
	if err != nil || held == nil || held.Gone() {
		return nil
	}
	return held
}
