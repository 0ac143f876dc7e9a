package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pleat/executor/lease"
	"pleat/providers/postgres"
	"pleat/spec"
)

func newBackfillCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "backfill", Short: "Watch and steer back-fills while they run", Args: cobra.NoArgs,
		Long: "Shows how far back-fills are, and tells them to pause, to go on, or how fast to\ngo. They listen while they run; what they are told is kept until they are done,\nwith who said it. CHANGE is the name of a change; without it, the only one that\nhas a back-fill is meant.",
	}
	c.AddCommand(newBackfillStatusCommand(a), newBackfillPauseCommand(a), newBackfillResumeCommand(a), newBackfillSpeedCommand(a))
	return c
}

func newBackfillStatusCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "How far back-fills are", Args: cobra.NoArgs,
		Long: "Shows each back-fill that was begun: how far it is, how fast, how long it will\ntake, and why it holds." + exitHelp("0 shown", "1 something cannot be read"),
		RunE: func(c *cobra.Command, _ []string) error { return a.backfillStatus(c.Context()) },
	}
	c.Flags().BoolVar(&a.json, "json", false, "as JSON")
	return c
}

// tellOptions say which back-fills are meant.
type tellOptions struct{ table string }

func (o *tellOptions) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&o.table, "table", "", "the back-fill of that `table` alone")
}

func newBackfillPauseCommand(a *app) *cobra.Command {
	return newTellCommand(a, "pause", "Let a back-fill hold until it is resumed", func() (postgres.Command, error) {
		pause := true
		return postgres.Command{Pause: &pause}, nil
	})
}

func newBackfillResumeCommand(a *app) *cobra.Command {
	return newTellCommand(a, "resume", "Let a paused back-fill go on", func() (postgres.Command, error) {
		pause := false
		return postgres.Command{Pause: &pause}, nil
	})
}

func newBackfillSpeedCommand(a *app) *cobra.Command {
	var workers, batch, rows int
	var c *cobra.Command
	c = newTellCommand(a, "speed", "Say how fast a back-fill goes", func() (postgres.Command, error) {
		var say postgres.Command
		for name, n := range map[string]struct {
			to   **int
			from *int
			most int
		}{"workers": {&say.Workers, &workers, 32}, "batch": {&say.Batch, &batch, 1_000_000}, "rows-per-second": {&say.RowsPerSecond, &rows, 100_000_000}} {
			if !c.Flags().Changed(name) {
				continue
			}
			if *n.from < 0 || *n.from > n.most {
				return say, &usageError{fmt.Errorf("--%s is a number from 0 to %d; 0 is what the spec says", name, n.most)}
			}
			*n.to = n.from
		}
		if say == (postgres.Command{}) {
			return say, &usageError{errors.New("say --workers, --batch or --rows-per-second; 0 is what the spec says")}
		}
		return say, nil
	})
	f := c.Flags()
	f.IntVar(&workers, "workers", 0, "how many fill at the same time")
	f.IntVar(&batch, "batch", 0, "rows of one transaction at most")
	f.IntVar(&rows, "rows-per-second", 0, "rows a second at most, all workers together")
	return c
}

func newTellCommand(a *app, verb, short string, say func() (postgres.Command, error)) *cobra.Command {
	var o tellOptions
	c := &cobra.Command{
		Use: verb + " [CHANGE]", Short: short, Args: cobra.MaximumNArgs(1),
		Long: short + ". It is heard within a second while\nthe back-fill runs, and else once it begins." + exitHelp("0 told", "1 there is no such back-fill, or it is done"),
		RunE: func(c *cobra.Command, args []string) error {
			command, err := say()
			if err != nil {
				return err
			}
			return a.tellBackfill(c.Context(), verb, args, o, command)
		},
	}
	o.addFlags(c)
	return c
}

func (a *app) backfillStatus(ctx context.Context) error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	fills, err := w.fills(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(fillForms(fills))
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, f := range fills {
		fmt.Fprintf(t, "change.%s\t%s\t%s\n", f.Change, f.Table, fillText(f))
	}
	return t.Flush()
}

// fills are the back-fills of all databases, by the spec's order of these.
func (w *world) fills(ctx context.Context) ([]postgres.Fill, error) {
	var all []postgres.Fill
	for _, d := range w.spec.Databases {
		found, err := w.databases[d.Name].Fills(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", d.Address(), err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// fillForm is a back-fill as JSON.
type fillForm struct {
	Change       string    `json:"change"`
	Table        string    `json:"table"`
	Run          string    `json:"run"`
	Rows         int64     `json:"rows"`
	Total        int64     `json:"total"`
	Rate         int64     `json:"rows_per_second"`
	Workers      int       `json:"workers"`
	Batch        int       `json:"batch"`
	RowsLimit    int       `json:"rows_per_second_limit,omitempty"`
	Held         string    `json:"held,omitempty"`
	Paused       bool      `json:"paused,omitempty"`
	By           string    `json:"told_by,omitempty"`
	FailedRows   int       `json:"failed_rows,omitempty"`
	Finished     bool      `json:"finished"`
	Interrupted  bool      `json:"interrupted,omitempty"`
	Began        time.Time `json:"began"`
	LastHeardOf  time.Time `json:"updated"`
	LeftEstimate float64   `json:"left_s,omitempty"`
}

func fillForms(fills []postgres.Fill) []fillForm {
	out := make([]fillForm, len(fills))
	for i, f := range fills {
		out[i] = fillForm{
			Change: f.Change, Table: f.Table.String(), Run: f.Run, Rows: f.Done, Total: f.Total, Rate: f.Rate, Workers: f.Workers,
			Batch: f.Batch, RowsLimit: f.RowsLimit, Held: f.Held, Paused: f.Paused, By: f.By, FailedRows: f.Failed,
			Finished: f.Finished, Interrupted: f.Silent(), Began: f.Began.UTC(), LastHeardOf: f.Updated.UTC(), LeftEstimate: left(f).Seconds(),
		}
	}
	return out
}

// left is how long a back-fill will take at its present rate; 0 = unknown.
func left(f postgres.Fill) time.Duration {
	if f.Finished || f.Rate <= 0 || f.Total <= f.Done {
		return 0
	}
	return time.Duration(float64(f.Total-f.Done) / float64(f.Rate) * float64(time.Second))
}

// fillText is "61 %, 120,345 rows, 81,000 rows/s, 4s left".
func fillText(f postgres.Fill) string {
	if f.Finished {
		return fmt.Sprintf("done, %s rows", grouped(f.Done))
	}
	text := grouped(f.Done) + " rows"
	if f.Total > 0 {
		text = fmt.Sprintf("%d %%, %s", min(100*f.Done/f.Total, 100), text)
	}
	switch {
	case f.Silent():
		text += ", nobody carries it on at present"
	case f.Held != "":
		text += ", waiting for " + f.Held
	default:
		if f.Rate > 0 {
			text += fmt.Sprintf(", %s rows/s", grouped(f.Rate))
		}
		if d := left(f); d > 0 {
			text += ", " + age(d) + " left"
		}
	}
	if f.Failed > 0 {
		text += fmt.Sprintf(", %d rows cannot be filled", f.Failed)
	}
	if f.Paused && f.Held == "" {
		text += ", paused by " + f.By
	}
	return text
}

func (a *app) tellBackfill(ctx context.Context, verb string, args []string, o tellOptions, say postgres.Command) error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	change, err := backfilled(sp, args)
	if err != nil {
		return err
	}
	self, err := lease.Self("")
	if err != nil {
		return err
	}
	told := 0
	for _, b := range change.Backfills {
		if o.table != "" && b.Table != spec.ParseTable(o.table) {
			continue
		}
		id := postgres.FillID{Change: change.Name, Table: b.Table}
		err := w.databases[change.Database.Name].Tell(ctx, id, self.Who+" on "+self.Host, say)
		if errors.Is(err, postgres.ErrFilled) {
			return fmt.Errorf("the back-fill of %s (%s) is done, and listens no more", b.Table, change.Address())
		}
		if err != nil {
			return err
		}
		told++
		a.talk("The back-fill of %s (%s) is told: %s.", b.Table, change.Address(), verb)
	}
	if told == 0 {
		return fmt.Errorf("%s has no back-fill of %s", change.Address(), o.table)
	}
	return nil
}

// backfilled is the change that is named, or the only one that has a back-fill.
func backfilled(sp *spec.Spec, args []string) (*spec.Change, error) {
	var all []*spec.Change
	for _, c := range sp.Changes {
		if len(c.Backfills) > 0 {
			all = append(all, c)
		}
	}
	if len(args) == 0 {
		if len(all) != 1 {
			return nil, &usageError{fmt.Errorf("%d changes have a back-fill: say which one is meant", len(all))}
		}
		return all[0], nil
	}
	for _, c := range all {
		if args[0] == c.Name || args[0] == string(c.Address()) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("there is no change %s with a back-fill", args[0])
}
