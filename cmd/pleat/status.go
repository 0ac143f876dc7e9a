package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pleat/executor/lease"
	"pleat/planner"
)

type statusOptions struct {
	watch    bool
	interval time.Duration
}

func newStatusCommand(a *app) *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use: "status", Short: "Say what is live", Args: cobra.NoArgs,
		Long: "Shows the live releases of each service and which instances end again and again,\nhow far each change has come, releases on hold, and the run that is on or was cut\nshort." +
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
	st, err := w.observe(ctx, planner.ScopeOf(sp))
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(st)
	}
	return a.writeStatus(ctx, a.out, w, st)
}

func (a *app) writeStatus(ctx context.Context, out io.Writer, w *world, st *planner.State) error {
	if s := w.spec; len(s.Services)+len(s.Changes)+len(s.Migrations) == 0 {
		fmt.Fprintln(out, "The spec has no services, changes or migrations.")
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range w.spec.Services {
		for _, line := range releaseLines(s.Name, st) {
			fmt.Fprintf(t, "%s\t%s\n", s.Address(), line)
		}
		for _, line := range restartLines(s.Name, st) {
			fmt.Fprintf(t, "\t%s\n", line)
		}
	}
	for _, p := range planner.Phases(w.spec, st) {
		fmt.Fprintf(t, "change.%s\t%s\n", p.Change, p.Phase)
	}
	for _, d := range w.spec.Databases {
		for _, name := range st.Databases[d.Name].Left {
			fmt.Fprintf(t, "change.%s\thalf way in %s, and not in the spec\n", name, d.Address())
		}
	}
	fills, err := w.fills(ctx)
	if err != nil {
		return err
	}
	for _, f := range fills {
		if !f.Finished {
			fmt.Fprintf(t, "change.%s\tback-fill of %s: %s\n", f.Change, f.Table, fillText(f))
		}
	}
	for _, m := range w.spec.Migrations {
		fmt.Fprintf(t, "%s\t%s\n", m.Address(), versionLine(st.Databases[m.Database.Name].Versions[m.Name], m.Version))
	}
	for _, r := range st.Journal.Releases {
		if r.Held != "" {
			fmt.Fprintf(t, "service.%s\t%s on hold: %s\n", r.Service, r.Version, r.Held)
		}
	}
	if st.Journal.Open != nil {
		fmt.Fprintf(t, "run\t%s\n", a.runLine(ctx, w, st.Journal.Open))
	}
	return t.Flush()
}

// versionLine is where a golang-migrate directory is: "1681826233".
func versionLine(live planner.Version, wanted uint64) string {
	text := versionText(live)
	if live.Version != wanted {
		text += fmt.Sprintf(", the spec says %d", wanted)
	}
	return text
}

// runLine says whether the open run is on, and under whose lease.
func (a *app) runLine(ctx context.Context, w *world, run *planner.Run) string {
	held := holding(ctx, w)
	if held == nil {
		return fmt.Sprintf("%s was cut short; %s", run.ID, goOn(run.Kind))
	}
	return fmt.Sprintf("%s (lease %s)", held, held.ID)
}

// holding is who carries out the open run; nil where nobody does, as far as can
// be told.
func holding(ctx context.Context, w *world) *lease.Holder {
	held, err := lease.Show(ctx, w.spec.State.URL, environment)
	if err != nil || held == nil || held.Gone() {
		return nil
	}
	return held
}

// releaseLines are the live releases of a service: "2.0.2  web 3 up".
func releaseLines(service string, st *planner.State) []string {
	counts := map[string]map[string]int{} // release → "web up" → n
	for _, o := range st.Orchestrators {
		for _, i := range o.Instances {
			if i.Service != service {
				continue
			}
			if counts[i.Release] == nil {
				counts[i.Release] = map[string]int{}
			}
			counts[i.Release][i.Process+" "+string(i.State)]++
		}
	}
	if len(counts) == 0 {
		return []string{"nothing runs"}
	}
	var out []string
	for release, states := range counts {
		var parts []string
		for state, n := range states {
			process, is, _ := strings.Cut(state, " ")
			parts = append(parts, fmt.Sprintf("%s %d %s", process, n, is))
		}
		sort.Strings(parts)
		if share, ok := shareOf(service, release, st); ok {
			parts = append(parts, fmt.Sprintf("%d%% of the requests", share))
		}
		out = append(out, release+"  "+strings.Join(parts, ", "))
	}
	sort.Strings(out)
	return out
}

// restartLines are the instances of a service that end again and again, with how
// they did last.
func restartLines(service string, st *planner.State) []string {
	var out []string
	for _, o := range st.Orchestrators {
		for _, i := range o.Instances {
			if i.Service != service || i.Restarts == 0 {
				continue
			}
			line := fmt.Sprintf("%s %s on %s: %s", i.Release, i.Name, i.Host, count(i.Restarts, "restart"))
			if i.Restarts > 1 {
				line = "crash loop: " + line
			}
			if i.Ended != "" {
				line += ", last: " + firstLine(i.Ended)
			}
			out = append(out, line)
		}
	}
	sort.Strings(out)
	return out
}

// shareOf is a release's share of its service's requests, where there are
// shares.
func shareOf(service, release string, st *planner.State) (percent int, ok bool) {
	for _, router := range st.Routers {
		serves := slices.ContainsFunc(router.Backends, func(b planner.Backend) bool { return b.Service == service })
		if serves {
			return router.Share(release)
		}
	}
	return 0, false
}
