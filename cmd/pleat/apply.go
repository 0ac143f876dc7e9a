package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/executor/lease"
	"pleat/planner"
	"pleat/spec"
)

// applyOptions are the flags of apply.
type applyOptions struct {
	goalFlags
	autoApprove bool
	expect      string
	events      string
	allow       []string
	acknowledge []string
}

func newApplyCommand(a *app) *cobra.Command {
	var o applyOptions
	c := &cobra.Command{
		Use: "apply [PLAN]", Short: "Carry a plan out", Args: cobra.MaximumNArgs(1),
		Long: "Carries out a saved plan, or plans, shows, asks and carries out. A run that was\ncut short is taken up where it stands. What fails goes back to the last\ncheckpoint." +
			exitHelp("0 done, nothing to do, or deferred", "1 error, nothing changed", "3 failed and rolled back", "4 a person must look",
				"5 the plan is stale, expired, altered or for another target", "6 blocked: a gate or a window is closed, a release is on hold, a hazard is not allowed, a drop not acknowledged, a right or room is missing, a rollback was cut short",
				"7 another apply holds the lease", "8 declined, or no terminal to ask", "130 interrupted at a safe point; apply again goes on"),
		RunE: func(c *cobra.Command, args []string) error {
			file := ""
			if len(args) > 0 {
				file = args[0]
			}
			return a.apply(c.Context(), o, file)
		},
	}
	o.add(c.Flags())
	c.Flags().BoolVar(&o.autoApprove, "auto-approve", false, "do not ask")
	c.Flags().StringVar(&o.expect, "expect", "", "refuse a plan with another `fingerprint`")
	c.Flags().StringVar(&o.events, "events", "", "write every event to a `file`, one JSON object a line")
	c.Flags().StringSliceVar(&o.allow, "allow-hazards", nil, "hazards that may run, by `code`")
	addAcknowledge(c.Flags(), &o.acknowledge)
	c.Flags().BoolVar(&a.json, "json", false, "print events and the summary as JSON lines")
	return c
}

func (a *app) apply(ctx context.Context, o applyOptions, file string) error {
	outliveReaders()
	if err := allowable(o.allow); err != nil {
		return err
	}
	sp, err := a.load()
	if err != nil {
		return err
	}
	if err := overridable(sp, o.goal().Overrides); err != nil {
		return err
	}
	var saved *planner.Plan
	if file != "" {
		if saved, _, err = readPlan(file); err != nil {
			return err
		}
		if err := a.checkSaved(saved, o.expect); err != nil {
			return err
		}
	}
	var nothing *planner.Plan
	meant := func(st *planner.State) error {
		if nothing = a.nothingToDo(sp, st, o, saved); nothing != nil {
			return errNothing
		}
		return forTarget(saved, st)
	}
	err = a.underLease(ctx, sp, meant, func(ctx context.Context, r *runner) error {
		return r.apply(ctx, o, saved)
	})
	if nothing != nil && errors.Is(err, errNothing) {
		return a.preview(nothing)
	}
	return err
}

// errNothing is an apply that has nothing to do: it needs no lease, and writes
// nothing.
var errNothing = errors.New("nothing to do")

// nothingToDo is the empty plan of what is live, or nil: there is something to
// do, to go on with or to refuse, or the servers have to be asked whether there is.
func (a *app) nothingToDo(sp *spec.Spec, st *planner.State, o applyOptions, saved *planner.Plan) *planner.Plan {
	if saved != nil || o.expect != "" || st.Journal.Open != nil {
		return nil
	}
	plan, diags := planner.Make(sp, st, o.goal())
	if diags.HasErrors() || !plan.Empty() || len(planner.Readings(sp, st)) > 0 {
		return nil
	}
	a.warn(diags)
	return plan
}

// preview prints a plan for a person; with --json the events and the summary say it all.
func (a *app) preview(plan *planner.Plan) error {
	if a.json {
		return nil
	}
	return plan.WriteText(a.out, planner.RenderOptions{Width: a.width(a.out), Color: a.color(a.out)})
}

// checkSaved refuses a saved plan before anything is looked at.
func (a *app) checkSaved(p *planner.Plan, expect string) error {
	next := "pleat plan, and have the new plan reviewed"
	if now().After(p.Expires) {
		return &codeError{exitStale, fmt.Errorf("the plan expired at %s", p.Expires.Format("2006-01-02 15:04:05 MST")), next}
	}
	return expected(p, expect)
}

func expected(p *planner.Plan, expect string) error {
	if expect == "" || p.Fingerprint == expect || strings.TrimPrefix(p.Fingerprint, "sha256:") == expect {
		return nil
	}
	return &codeError{exitStale, fmt.Errorf("the plan's fingerprint is %s, not the expected %s", p.Fingerprint, expect), "pleat plan, and have the new plan reviewed"}
}

// apply carries out a saved plan or a fresh one, or goes on with the run that
// was cut short.
func (r *runner) apply(ctx context.Context, o applyOptions, saved *planner.Plan) error {
	r.goal = o.goal()
	plan, open, err := r.choose(ctx, r.goal, saved)
	if err != nil {
		return err
	}
	if err := expected(plan, o.expect); err != nil {
		return err
	}
	if open != nil {
		r.app.talk("Run %s was cut short; going on with it.", open.ID)
		return r.execute(ctx, plan, o.events, executor.Resume)
	}
	if plan, err = r.world.withhold(plan, o.acknowledge); err != nil {
		return err
	}
	if err := r.present(ctx, plan, saved != nil, o); err != nil || plan.Empty() {
		return err
	}
	return r.start(ctx, plan, o.events)
}

// choose is the plan to carry out: the open run's, the saved one, or a fresh
// one.
func (r *runner) choose(ctx context.Context, goal planner.Goal, saved *planner.Plan) (*planner.Plan, *journal.Run, error) {
	open, err := r.journal.Unfinished(ctx)
	if err != nil {
		return nil, nil, err
	}
	st, err := r.world.observe(ctx, r.scope(saved))
	if err != nil {
		return nil, nil, err
	}
	if open != nil {
		plan, err := openPlan(open)
		if err != nil {
			return nil, nil, err
		}
		moved := plan.Elsewhere(st)
		if r.world.sameWish(st, goal, saved, open) && len(moved) == 0 {
			r.take(open.ID)
			plan.Overrides = append(plan.Overrides, goal.Overrides...)
			return plan, open, nil
		}
		if open.Kind == backward {
			return nil, nil, unfinishedBack(open)
		}
		why, err := otherwise(open, saved, moved)
		if err != nil {
			return nil, nil, err
		}
		if err := r.abandon(ctx, plan, open, why); err != nil {
			return nil, nil, err
		}
		if st, err = r.world.observe(ctx, r.scope(saved)); err != nil {
			return nil, nil, err
		}
	}
	if saved != nil {
		return saved.At(st.Now, goal), nil, fits(saved, st)
	}
	if err := r.world.read(ctx, st); err != nil {
		return nil, nil, err
	}
	plan, err := r.app.planFor(r.world.spec, st, goal)
	return plan, nil, err
}

// sameWish tells whether the open run is on its way to what is asked for.
func (w *world) sameWish(st *planner.State, goal planner.Goal, saved *planner.Plan, open *journal.Run) bool {
	if saved != nil {
		return saved.Fingerprint == open.Fingerprint
	}
	return planner.Wish(w.spec, st, goal) == open.Wish
}

// otherwise says why an open run is not gone on with: it is on its way to
// something else, or was planned for other hosts than there are. A saved plan
// is not what it was reviewed for then.
func otherwise(open *journal.Run, saved *planner.Plan, moved []string) (string, error) {
	switch {
	case len(moved) > 0 && saved != nil:
		return "", stale(moved)
	case saved != nil:
		return "", &codeError{exitStale, fmt.Errorf("run %s of another plan was cut short and is not finished", open.ID), "pleat apply goes on with it, pleat rollback takes it back"}
	case len(moved) > 0:
		return ", and since then " + strings.Join(moved, ", "), nil
	}
	return onItsWay, nil
}

// onItsWay is why an open run is not gone on with where it was meant for something
// that nobody wants now.
const onItsWay = " on its way to something else"

// abandon closes an open run where it stands.
func (r *runner) abandon(ctx context.Context, plan *planner.Plan, open *journal.Run, why string) error {
	r.app.talk("Run %s was cut short%s; planning from where it stands.", open.ID, why)
	fresh := r.ticket.Run
	r.take(open.ID)
	defer r.take(fresh)
	return executor.Abandon(ctx, r.config(plan, r.warned))
}

func (r *runner) scope(saved *planner.Plan) planner.Scope {
	if saved != nil {
		return saved.Scope
	}
	return planner.ScopeOf(r.world.spec)
}

// forTarget refuses a saved plan that was made for other systems.
func forTarget(p *planner.Plan, st *planner.State) error {
	if p == nil {
		return nil
	}
	for _, t := range p.Target {
		if is := st.Identity(t.Address); is != t.Identity {
			return &codeError{exitStale, fmt.Errorf("the plan is for another target: %s is %s, the plan was made for %s", t.Address, is, t.Identity), "pleat plan here"}
		}
	}
	return nil
}

// fits refuses a saved plan that was made for another target or another state.
func fits(p *planner.Plan, st *planner.State) error {
	if err := forTarget(p, st); err != nil {
		return err
	}
	if changed := planner.Changed(p.ReadSet, p.Scope.Facts(st)); len(changed) > 0 {
		return stale(changed)
	}
	return nil
}

// present shows the plan, refuses hazards that were not allowed and artifacts
// that are not to be had, and asks.
func (r *runner) present(ctx context.Context, plan *planner.Plan, reviewed bool, o applyOptions) error {
	a := r.app
	unseen := a.preview(plan)
	if plan.Empty() {
		return nil
	}
	if err := withheld(plan); err != nil {
		return err
	}
	if err := hazards(plan, o.allow); err != nil {
		return err
	}
	if err := r.world.unobstructed(ctx, plan, o.allow); err != nil {
		return err
	}
	if err := r.world.ready(ctx, plan); err != nil {
		return err
	}
	if o.autoApprove || reviewed {
		return nil // nobody has to see it
	}
	if unseen != nil {
		return fmt.Errorf("showing the plan: %w", unseen)
	}
	if err := a.confirm("Apply this plan?"); err != nil {
		return err
	}
	return r.still(ctx, plan)
}

// still refuses a plan whose state has changed while the question was open.
func (r *runner) still(ctx context.Context, plan *planner.Plan) error {
	st, err := r.world.observe(ctx, plan.Scope)
	if err != nil {
		return err
	}
	return fits(plan, st)
}

// hazards refuses what was not allowed by name.
func hazards(plan *planner.Plan, allow []string) error {
	allowed := map[string]bool{}
	for _, code := range allow {
		allowed[code] = true
	}
	var missing, lines []string
	for _, s := range plan.Steps {
		for _, h := range s.Hazards {
			if allowed[h.Code] || s.Deferred != "" {
				continue
			}
			missing = append(missing, h.Code)
			lines = append(lines, fmt.Sprintf("%s (%s %s): %s", h.Code, s.Kind, s.Title, h.Text))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &codeError{exitBlocked, fmt.Errorf("hazards that were not allowed:\n  %s", strings.Join(lines, "\n  ")), "the same command with --allow-hazards " + strings.Join(unique(missing), ",")}
}

func unique(names []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// confirm asks a person; without a terminal that is a refusal.
func (a *app) confirm(question string) error {
	if !a.interactive() {
		return &codeError{exitDeclined, errors.New("no terminal to ask on"), "the same command with --auto-approve, or with a saved plan"}
	}
	fmt.Fprintf(a.err, "\n%s Only 'yes' is taken: ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && answer == "" {
		return &codeError{exitDeclined, errors.New("no answer"), ""}
	}
	if strings.TrimSpace(answer) != "yes" {
		return &codeError{exitDeclined, errors.New("declined; nothing was changed"), ""}
	}
	return nil
}

// underLease looks at what is live and, unless that is not what was meant,
// installs pleat's tables, takes the lease and runs body with it.
func (a *app) underLease(ctx context.Context, sp *spec.Spec, meant func(*planner.State) error, body func(context.Context, *runner) error) error {
	r, err := a.newRunner(ctx, sp, meant)
	if err != nil {
		return err
	}
	ctx, cancel := r.lease.Guard(ctx)
	defer cancel()
	err = errors.Join(body(ctx, r), r.close(ctx))
	// Whatever else went wrong, went wrong because of that.
	if lost := context.Cause(ctx); errors.Is(lost, lease.ErrLost) {
		return &codeError{exitLook, errors.Join(lost, err), "pleat status"}
	}
	return err
}
