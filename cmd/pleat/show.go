package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"pleat/planner"
)

func newShowCommand(a *app) *cobra.Command {
	var as struct{ sql, markdown, html bool }
	c := &cobra.Command{
		Use: "show PLAN", Short: "Show a saved plan", Args: cobra.ExactArgs(1),
		Long: "Shows a plan that pleat plan --out saved: as text, as Markdown for a comment on\na pull request, as a page for a browser, as JSON, or the SQL of its steps." +
			exitHelp("0 shown", "1 no such file", "5 the file is no plan as pleat wrote it"),
		RunE: func(_ *cobra.Command, args []string) error {
			plan, raw, err := readPlan(args[0])
			if err != nil {
				return err
			}
			switch {
			case a.json:
				_, err := a.out.Write(raw)
				return err
			case as.sql:
				return plan.WriteSQL(a.out)
			case as.markdown:
				return plan.WriteMarkdown(a.out)
			case as.html:
				return plan.WriteHTML(a.out)
			}
			return a.preview(plan)
		},
	}
	c.Flags().BoolVar(&a.json, "json", false, "the plan as it is in the file")
	c.Flags().BoolVar(&as.sql, "sql", false, "the SQL of its steps, with their undo")
	c.Flags().BoolVar(&as.markdown, "markdown", false, "for a comment: 65,000 characters at most, and says what has no room")
	c.Flags().BoolVar(&as.html, "html", false, "one page that needs nothing from elsewhere")
	c.MarkFlagsMutuallyExclusive("json", "sql", "markdown", "html")
	return c
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
