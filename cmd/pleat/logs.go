package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pleat/providers/host"
	"pleat/providers/host/api"
	"pleat/spec"
)

// usualTail is how many lines are shown where nobody says how many.
const usualTail = 100

type logsOptions struct {
	follow, times bool
	since         string
	tail          int
}

func newLogsCommand(a *app) *cobra.Command {
	var o logsOptions
	c := &cobra.Command{
		Use: "logs [SERVICE[.PROCESS[.N]]]", Short: "Print what instances write", Args: cobra.MaximumNArgs(1),
		Long: "Prints what the instances on all hosts wrote, merged by time, each line with its\nservice, release and instance. What instances wrote that are gone is kept for\n7 days, and of each at most 40 MiB. Secrets are blanked." +
			exitHelp("0 printed", "1 an agent does not answer, and what the others have was printed; or there is no such instance", "130 interrupted while it followed"),
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("tail") && o.since != "" {
				o.tail = -1
			}
			return a.logs(c.Context(), o, args)
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "wait for more")
	f.StringVar(&o.since, "since", "", "only what was written since: `10m`, or a time such as 2026-11-26T20:00:00Z")
	f.IntVar(&o.tail, "tail", usualTail, "only the last `n` lines; -1 for all that is kept, as --since does by itself")
	f.BoolVar(&o.times, "timestamps", false, "with the time of each line")
	f.BoolVar(&a.json, "json", false, "one JSON object a line")
	return c
}

func (a *app) logs(ctx context.Context, o logsOptions, args []string) error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	q := api.LogQuery{Tail: o.tail, Follow: o.follow}
	if len(args) > 0 {
		if err := selectLogs(sp, args[0], &q); err != nil {
			return err
		}
	}
	if o.since != "" {
		if q.Since, err = sinceWhen(o.since); err != nil {
			return err
		}
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	var all []*host.Provider
	for _, o := range sp.Orchestrators {
		if o.Program != nil {
			a.talk("%s: pleat has no logs of what a program looks after", o.Address())
			continue
		}
		all = append(all, w.hosts[o.Address()])
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if o.follow {
		// An agent that does not answer may have it, and is waited for.
		if why, err := absent(ctx, all, q); err == nil && why != nil {
			return why
		}
	}
	p := logPrinter{app: a, times: o.times}
	err = host.Logs(ctx, all, q, p.print, func(err error) { a.talk("Warning: %s", err) })
	if ctx.Err() != nil {
		return &codeError{code: exitInterrupted}
	}
	if err != nil || p.width > 0 {
		return err
	}
	why, err := absent(ctx, all, q)
	return errors.Join(why, err)
}

// absent says why there is nothing to show of the instance that is asked for: there
// is no such one, nor anything that one wrote that is gone. Nil where there is, or
// where no instance is asked for.
func absent(ctx context.Context, all []*host.Provider, q api.LogQuery) (why, err error) {
	if q.Instance == "" {
		return nil, nil
	}
	kept := false
	q.Since, q.Tail, q.Follow = time.Time{}, 1, false
	err = host.Logs(ctx, all, q, func(api.LogLine) error { kept = true; return nil }, func(error) {})
	if kept || err != nil {
		return nil, err
	}
	var names []string
	for _, p := range all {
		o, err := p.Observe(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range o.Instances {
			if i.Service == q.Service && i.Name == q.Instance {
				return nil, nil
			}
			if i.Service == q.Service && i.Process == q.Process {
				names = append(names, i.Service+"."+i.Name)
			}
		}
	}
	slices.Sort(names)
	there := "none of that process runs"
	if len(names) > 0 {
		there = "there is: " + strings.Join(slices.Compact(names), ", ")
	}
	return fmt.Errorf("there is no instance %s.%s, and nothing is kept of one; %s", q.Service, q.Instance, there), nil
}

// selectLogs reads SERVICE.PROCESS.N; the spec has to have the first two.
func selectLogs(sp *spec.Spec, text string, q *api.LogQuery) error {
	parts := strings.SplitN(strings.TrimPrefix(text, "service."), ".", 3)
	n := slices.IndexFunc(sp.Services, func(s *spec.Service) bool { return s.Name == parts[0] })
	if n < 0 {
		var names []string
		for _, s := range sp.Services {
			names = append(names, s.Name)
		}
		return &usageError{fmt.Errorf("the spec has no service %s; there is: %s", parts[0], strings.Join(names, ", "))}
	}
	q.Service = parts[0]
	if len(parts) == 1 {
		return nil
	}
	var names []string
	for _, p := range sp.Services[n].Processes {
		names = append(names, p.Name)
	}
	if !slices.Contains(names, parts[1]) {
		return &usageError{fmt.Errorf("service %s has no process %s; there is: %s", parts[0], parts[1], strings.Join(names, ", "))}
	}
	q.Process = parts[1]
	if len(parts) == 3 {
		if _, err := strconv.Atoi(parts[2]); err != nil {
			return &usageError{fmt.Errorf("%s: write SERVICE.PROCESS.N, such as %s.%s.1", text, parts[0], parts[1])}
		}
		q.Instance = parts[1] + "." + parts[2]
	}
	return nil
}

// sinceWhen reads "10m" or a time.
func sinceWhen(text string) (time.Time, error) {
	if d, err := spec.ParseDuration(text); err == nil {
		return now().Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, &usageError{fmt.Errorf("--since %s: write a duration such as 10m, or a time such as %s", text, now().Format(time.RFC3339))}
	}
	return at, nil
}

// logPrinter keeps the lines of all instances in one column.
type logPrinter struct {
	*app
	times bool
	width int
}

func (p *logPrinter) print(l api.LogLine) error {
	who := l.Ref.String()
	p.width = max(p.width, len(who))
	if p.json {
		p.jsonLine(l)
		return nil
	}
	if p.times {
		who = l.At.UTC().Format("2006-01-02T15:04:05.000Z") + " " + who + strings.Repeat(" ", p.width-len(who))
	}
	_, err := fmt.Fprintf(p.out, "%-*s | %s\n", p.width, who, safe(l.Line))
	return err
}
