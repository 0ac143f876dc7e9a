package main

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"

	"pleat/migrations/hazard"
	"pleat/spec"
)

func newExplainCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "explain [CODE]", Short: "Explain a code that pleat prints, or list them", Args: cobra.MaximumNArgs(1),
		Long: "Says what the code of a hazard, of an obstacle or of advice means, who waits and\nfor how long, the way without it, and how it is allowed. Without a code it lists\nall of them." +
			exitHelp("0 done", "1 there is no such code"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.explainAll()
			}
			return a.explain(args[0])
		},
	}
	c.Flags().BoolVar(&a.json, "json", false, "as JSON")
	return c
}

func (a *app) explainAll() error {
	if a.json {
		return a.printJSON(hazard.Codes())
	}
	for _, d := range hazard.Codes() {
		if _, err := fmt.Fprintf(a.out, "%-32s %-8s %s\n", d.Code, d.Severity, d.Title); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) explain(code string) error {
	d, known := hazard.Explain(code)
	if !known {
		return &usageError{unknownCode(code)}
	}
	if a.json {
		return a.printJSON(d)
	}
	width := min(a.width(a.out), 100)
	fmt.Fprintf(a.out, "%s (%s)\n%s\n\n", d.Code, d.Severity, d.Title)
	for _, p := range []string{d.Explain, "Instead: " + d.Safe, "Allowed: " + d.Allow + "."} {
		fmt.Fprintf(a.out, "%s\n\n", strings.Join(spec.Wrap(p, width), "\n"))
	}
	if d.Optional {
		fmt.Fprintf(a.out, "lint looks for it only when asked: --rules %s\n", d.Code)
	}
	fmt.Fprintf(a.out, "PostgreSQL's manual: %s\n", d.Manual)
	for _, other := range []struct {
		name  string
		rules []string
	}{{"squawk", d.Squawk}, {"strong_migrations", d.Strong}} {
		if len(other.rules) > 0 {
			fmt.Fprintf(a.out, "In %s: %s\n", other.name, strings.Join(other.rules, ", "))
		}
	}
	return nil
}

// unknownCode is the error of a code that there is not, with the nearest.
func unknownCode(code string) error {
	best, distance := "", 0
	for _, d := range hazard.Codes() {
		if n := levenshtein.Distance(code, d.Code, nil); best == "" || n < distance {
			best, distance = d.Code, n
		}
	}
	return fmt.Errorf("there is no code %s; did you mean %s? pleat explain lists all", code, best)
}

// allowable refuses what --allow-hazards cannot allow.
func allowable(codes []string) error {
	for _, code := range codes {
		d, known := hazard.Explain(code)
		if !known {
			return &usageError{fmt.Errorf("--allow-hazards: %w", unknownCode(code))}
		}
		if d.Severity == hazard.Obstacle {
			return &usageError{fmt.Errorf("--allow-hazards: %s cannot be allowed; pleat explain %s says what to do", code, code)}
		}
	}
	return nil
}
