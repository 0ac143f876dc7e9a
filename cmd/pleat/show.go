package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"pleat/planner"
)

func newShowCommand(a *app) *cobra.Command {
	var sql bool
	c := &cobra.Command{
		Use: "show PLAN", Short: "Show a saved plan", Args: cobra.ExactArgs(1),
		Long: "Shows a plan that pleat plan --out saved: as text, as JSON, or the SQL of its\nsteps." +
			exitHelp("0 shown", "1 no such file", "5 the file is no plan as pleat wrote it"),
		RunE: func(_ *cobra.Command, args []string) error { return a.show(args[0], sql) },
	}
	c.Flags().BoolVar(&a.json, "json", false, "the plan as it is in the file")
	c.Flags().BoolVar(&sql, "sql", false, "the SQL of its steps, with their undo")
	return c
}

func (a *app) show(file string, sql bool) error {
	plan, raw, err := readPlan(file)
	if err != nil {
		return err
	}
	if a.json {
		_, err := a.out.Write(raw)
		return err
	}
	if sql {
		return plan.WriteSQL(a.out)
	}
	return plan.WriteText(a.out, planner.RenderOptions{Width: a.width(a.out), Color: a.color(a.out)})
}

func readPlan(file string) (*planner.Plan, []byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the plan: %w", err)
	}
	plan, err := planner.Decode(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return plan, raw, nil
}
