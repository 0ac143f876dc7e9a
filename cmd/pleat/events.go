package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"pleat/executor/journal"
)

func newEventsCommand(a *app) *cobra.Command {
	var since int64
	var follow bool
	c := &cobra.Command{
		Use: "events", Short: "Print what happened, one JSON object a line", Args: cobra.NoArgs,
		Long: "Prints the events of all runs in their order, from any place on: a reader that\nremembers the last seq it saw misses nothing and sees nothing twice." +
			exitHelp("0 printed", "1 the state cannot be read"),
		RunE: func(c *cobra.Command, _ []string) error { return a.events(c.Context(), since, follow) },
	}
	c.Flags().Int64Var(&since, "since", 0, "only events after this seq")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more")
	return c
}

func (a *app) events(ctx context.Context, since int64, follow bool) error {
	return a.withJournal(ctx, func(j *journal.Journal) error {
		if follow {
			return j.Follow(ctx, since, a.printEvent)
		}
		return a.replay(ctx, j, since)
	})
}

// page is how many events are read at once.
const page = 500

func (a *app) replay(ctx context.Context, j *journal.Journal, since int64) error {
	for {
		events, err := j.Events(ctx, since, page)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if err := a.printEvent(e); err != nil {
				return err
			}
			since = e.Seq
		}
	}
}

// printEvent writes the flat form that apply writes as well.
func (a *app) printEvent(e journal.Event) error {
	head, err := json.Marshal(struct {
		Seq int64  `json:"seq"`
		At  string `json:"at"`
		Run string `json:"run"`
	}{e.Seq, e.At.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), e.Run})
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := json.Compact(&body, e.Body); err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	_, err = fmt.Fprintf(a.out, "%s,%s\n", head[:len(head)-1], body.Bytes()[1:])
	return err
}
