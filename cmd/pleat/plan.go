package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pleat/executor/crash"
	"pleat/planner"
	"pleat/providers/host/disk"
	"pleat/spec"
)

// goalFlags are the flags by which plan and apply say what a plan is for.
type goalFlags struct {
	liftHold string
	lineage  string
	windows  []string
	wait     time.Duration
}

func (g *goalFlags) add(f *pflag.FlagSet) {
	f.StringVar(&g.liftHold, "lift-hold", "", "roll out a release that was rolled back, for this `reason`")
	f.StringVar(&g.lineage, "accept-lineage", "", "replace a live release that the new one does not contain, for this `reason`")
	f.StringArrayVar(&g.windows, "override-window", nil, "do not keep to a window, `WINDOW=REASON`; may be given several times")
	f.DurationVar(&g.wait, "wait", planner.DefaultMaxWait, "gates, windows, soaks and evidence that need longer are left to a later apply")
}

func (g *goalFlags) goal() planner.Goal {
	wait := g.wait
	if wait <= 0 {
		wait = planner.NoWait
	}
	return planner.Goal{LiftHold: g.liftHold, AcceptLineage: g.lineage, MaxWait: wait, Overrides: overrides(g.windows)}
}

// addAcknowledge is the flag that lets drops run.
func addAcknowledge(f *pflag.FlagSet, words *[]string) {
	f.StringArrayVar(words, "acknowledge", nil, "drop that for good, `DATABASE:OBJECT` as the plan names it; may be given several times")
}

func newPlanCommand(a *app) *cobra.Command {
	var goal goalFlags
	var acknowledged []string
	var out string
	var detailed bool
	c := &cobra.Command{
		Use: "plan", Short: "Show the way from what is live to what the spec says", Args: cobra.NoArgs,
		Long: "Reads what is live and prints the ordered plan: for each step what it waits for,\nwhat it locks and how it is undone. Changes nothing and takes no lease." +
			exitHelp("0 planned (without --detailed-exitcode also with changes)", "1 error: spec, connection, or no legal way", "2 --detailed-exitcode: there are changes", "6 a release is on hold"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if c.Flags().Changed("out") {
				if out, err = planFile(out); err != nil {
					return fmt.Errorf("saving the plan: %w", err)
				}
			}
			return a.plan(c.Context(), goal.goal(), acknowledged, out, detailed)
		},
	}
	goal.add(c.Flags())
	addAcknowledge(c.Flags(), &acknowledged)
	c.Flags().StringVar(&out, "out", "", "save the plan to a `file`")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when there are changes")
	c.Flags().BoolVar(&a.json, "json", false, "print the plan as JSON")
	return c
}

func (a *app) plan(ctx context.Context, goal planner.Goal, acknowledged []string, out string, detailed bool) (err error) {
	sp, err := a.load()
	if err != nil {
		return err
	}
	if err := overridable(sp, goal.Overrides); err != nil {
		return err
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	st, err := w.observe(ctx, planner.ScopeOf(sp))
	if err != nil {
		return err
	}
	if err := w.read(ctx, st); err != nil {
		return err
	}
	note, err := w.openNote(ctx, st, goal)
	if err != nil {
		return err
	}
	plan, err := a.planFor(sp, st, goal)
	if err != nil {
		return errors.Join(sayLine(a.err, note), err)
	}
	held, err := w.withhold(plan, acknowledged)
	if err != nil {
		return err
	}
	if a.json {
		held = plan // the bytes of which are what is saved
	}
	if err := a.showPlan(held); err != nil {
		return err
	}
	if err := a.savePlan(plan, out); err != nil {
		return err
	}
	if out != "" {
		if err := a.tellPlan(sp, plan); err != nil {
			return err
		}
	}
	beside := a.out
	if a.json {
		beside = a.err
	}
	if err := sayLine(beside, note); err != nil {
		return err
	}
	if detailed && !plan.Empty() {
		return &codeError{code: exitChanges}
	}
	return nil
}

// planFor plans for a state that was read; warnings are shown, and everything
// that is wrong is one error.
func (a *app) planFor(sp *spec.Spec, st *planner.State, goal planner.Goal) (*planner.Plan, error) {
	plan, diags := planner.Make(sp, st, goal)
	if diags.HasErrors() {
		return nil, &diagnosticsError{diags}
	}
	a.warn(diags)
	return plan, nil
}

// warn shows what is wrong with a spec. Like all talk it changes nothing when
// nobody reads it.
func (a *app) warn(diags hcl.Diagnostics) {
	if len(diags) == 0 {
		return
	}
	_ = spec.WriteDiagnostics(a.err, a.sources, diags, spec.RenderOptions{Width: a.width(a.err), Color: a.color(a.err)})
}

// signed is a plan encoded with this pleat's name on it.
func signed(plan *planner.Plan) ([]byte, error) {
	p := *plan
	p.By = "pleat " + version
	return p.Encode()
}

func (a *app) showPlan(plan *planner.Plan) error {
	if !a.json {
		return a.preview(plan)
	}
	raw, err := signed(plan)
	if err != nil {
		return err
	}
	_, err = a.out.Write(raw)
	return err
}

// planFile is where a plan that is to be saved in path comes to be, symlinks
// followed. It is written beside and moved there, so what is there and no plain file
// is refused: as root that would replace /dev/null, or a link to what stdout is.
func planFile(path string) (string, error) {
	if path == "" {
		return "", errors.New("--out has no name of a file")
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Dir(path))
		return path, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory", path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no plain file; --json prints the plan", path)
	}
	return real, nil
}

// savePlan writes a plan to a file, unless that has no name.
func (a *app) savePlan(plan *planner.Plan, out string) error {
	if out == "" {
		return nil
	}
	raw, err := signed(plan)
	if err != nil {
		return err
	}
	if err := disk.Write(out, raw, crash.At); err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	a.talk("Saved to %s. To carry out exactly this plan: pleat apply %s", out, out)
	return nil
}
