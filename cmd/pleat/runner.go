package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/executor/lease"
	"pleat/migrations/bookkeeping"
	"pleat/planner"
	"pleat/spec"
)

// runner is what a verb that changes things holds: the lease, the journal and
// the live systems.
type runner struct {
	app     *app
	world   *world
	lease   *lease.Lease
	journal *journal.Journal
	ticket  planner.Ticket
	holder  lease.Holder
	goal    planner.Goal // what an apply was asked for
}

// newRunner looks whether everything can be reached before its first write,
// and is refused at once when another apply is on.
func (a *app) newRunner(ctx context.Context, sp *spec.Spec, meant func(*planner.State) error) (r *runner, err error) {
	if sp.State == nil {
		return nil, errors.New("nowhere to record the run: declare a database, or a state block with a url")
	}
	id := newRunID()
	w, err := a.open(sp)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	st, err := w.observe(ctx, planner.ScopeOf(sp))
	if err != nil {
		return nil, err
	}
	if err := meant(st); err != nil {
		return nil, err
	}
	if err := w.install(ctx); err != nil {
		return nil, err
	}
	r = &runner{app: a, world: w}
	if r.holder, err = lease.Self(id); err != nil {
		return nil, err
	}
	if r.journal, err = journal.Open(ctx, sp.State.URL, environment, "pleat/"+id); err != nil {
		return nil, err
	}
	w.journal = r.journal
	if err := r.takeLease(ctx); err != nil {
		return nil, errors.Join(err, r.journal.Close(context.WithoutCancel(ctx)))
	}
	return r, nil
}

// takeLease takes the lease and fences off former holders.
func (r *runner) takeLease(ctx context.Context) (err error) {
	sp := r.world.spec
	if r.lease, err = r.askForLease(ctx, sp.State.URL); err != nil {
		return err
	}
	for _, d := range sp.Databases {
		if d.URL.Reveal() == sp.State.URL.Reveal() {
			continue // it has the lease itself
		}
		if err := lease.Announce(ctx, d.URL, environment, r.lease.Fence()); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", d.Address(), err), r.lease.Release(ctx))
		}
	}
	r.ticket = planner.Ticket{Run: r.holder.Run, Lease: environment, Fence: r.lease.Fence(), Authority: r.lease.Authority()}
	if err := r.world.announce(ctx, r.ticket); err != nil {
		return errors.Join(err, r.lease.Release(ctx))
	}
	return nil
}

// announce fences former holders off from the orchestrators and routers.
func (w *world) announce(ctx context.Context, t planner.Ticket) error {
	for _, o := range w.orchestrators {
		if err := o.Announce(ctx, t); err != nil {
			return err
		}
	}
	for _, router := range w.routers {
		if err := router.Announce(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// How long a holder whose run has ended is waited for, and how often it is
// looked whether it let go.
const (
	lettingGo = 10 * time.Second
	look      = 20 * time.Millisecond
)

// askForLease is refused at once when the lease is held. Only a holder whose
// run has ended is waited for: whoever reads that a run is complete may apply.
func (r *runner) askForLease(ctx context.Context, url spec.Text) (*lease.Lease, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(lettingGo); ; {
		l, err := lease.Take(ctx, url, environment, r.holder)
		var held *lease.HeldError
		if !errors.As(err, &held) || time.Now().After(end) {
			return l, err
		}
		ended, lost := r.journal.Finished(ctx, held.Holder.Run)
		if !ended || lost != nil {
			return nil, errors.Join(err, lost)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// install brings pleat's own tables into every database of the spec.
func (w *world) install(ctx context.Context) error {
	urls := []spec.Text{w.spec.State.URL}
	for _, d := range w.spec.Databases {
		if d.URL.Reveal() != w.spec.State.URL.Reveal() {
			urls = append(urls, d.URL)
		}
	}
	for _, url := range urls {
		if err := bookkeeping.Migrate(ctx, url); err != nil {
			return err
		}
	}
	return nil
}

// take makes the ticket that of another run: one that is gone on with.
func (r *runner) take(run string) {
	r.ticket.Run = run
	r.lease.SetRun(run)
}

func (r *runner) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(r.world.close(ctx), r.journal.Close(ctx), r.lease.Release(ctx))
}

// newRunID is unique and sorts by time.
func newRunID() string {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails (Go 1.24)
	}
	return now().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// begin is the journal's row of a run.
func (r *runner) begin(plan *planner.Plan) (journal.Run, error) {
	raw, err := signed(plan)
	if err != nil {
		return journal.Run{}, err
	}
	return journal.Run{
		ID: r.ticket.Run, Kind: plan.Kind, Status: string(executor.Running), Fingerprint: plan.Fingerprint,
		Wish: plan.Wish, Plan: raw, Who: r.holder.Who, Host: r.holder.Host,
	}, nil
}

func (r *runner) config(plan *planner.Plan, watch func(executor.Record)) executor.Config {
	return executor.Config{Plan: plan, Journal: r.journal, Ticket: r.ticket, Providers: r.world.appliers(), Watch: watch, Now: now}
}

// start carries a plan out as a new run.
func (r *runner) start(ctx context.Context, plan *planner.Plan, events string) error {
	return r.execute(ctx, plan, events, func(ctx context.Context, c executor.Config) (executor.Result, error) {
		begin, err := r.begin(plan)
		if err != nil {
			return executor.Result{}, err
		}
		return executor.Execute(ctx, c, begin)
	})
}

// execute runs a plan with signals, the watcher and the event file around it,
// and turns what came of it into an exit code.
func (r *runner) execute(ctx context.Context, plan *planner.Plan, events string, start func(context.Context, executor.Config) (executor.Result, error)) error {
	sink, err := openSink(events)
	if err != nil {
		return err
	}
	a := r.app
	_, tty := terminal(a.err)
	w := newWatcher(a.err, tty, a.color(a.err), func() int { return a.width(a.err) })
	go w.run()
	told := r.notices(plan)
	watch := func(rec executor.Record) {
		r.tell(rec)
		sink.write(rec)
		told.watch(rec)
		if a.json {
			a.jsonLine(rec)
			return
		}
		w.Watch(rec)
	}
	c := r.config(plan, watch)
	var done func()
	c.Stop, ctx, done = r.interruptions(ctx, w.Say)
	result, err := start(ctx, c)
	r.asOfNow(ctx, plan, &result.Summary)
	done()
	w.Close()
	if err == nil {
		err = a.conclude(plan.Kind, result)
	}
	if lost := told.close(); lost != nil {
		a.talk("Warning: not everybody could be told: %s", lost)
	}
	// The journal has every event, and the run came out as it did.
	if lost := sink.close(); lost != nil {
		a.talk("Warning: %s", lost)
	}
	return err
}

// tell keeps the lease's row at the step in hand.
func (r *runner) tell(rec executor.Record) {
	s, ok := rec.Event.(executor.StepChanged)
	if !ok {
		return
	}
	step := fmt.Sprintf("%d %s %s", s.Number, s.Kind, s.Title)
	switch s.Status {
	case executor.StepStarted:
		r.lease.SetStep(step)
	case executor.StepUndoing:
		r.lease.SetStep("undo of " + step)
	}
}

// warned passes on what there is to know of a run that is given up.
func (r *runner) warned(rec executor.Record) {
	if w, ok := rec.Event.(executor.Warned); ok {
		r.app.talk("Warning: %s", w.Text)
	}
}

// outliveReaders keeps pleat alive when whoever reads its output goes away: a
// run does not depend on being watched.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// interruptions are those of people: by a signal, or by pleat abort.
func (r *runner) interruptions(ctx context.Context, say func(string)) (<-chan struct{}, context.Context, func()) {
	asked := make(chan struct{})
	ended := make(chan struct{})
	stop, ctx, done := signals(ctx, asked, say)
	hearing, deaf := context.WithCancel(ctx)
	go func() {
		defer close(ended)
		r.listen(hearing, func(w journal.Word) {
			say("Told to stop at the next safe point by " + w.String())
			close(asked)
		})
	}()
	return stop, ctx, func() { deaf(); <-ended; done() }
}

// signals turns the first SIGINT or SIGTERM into a stop at the next safe
// point, the second into a cancelled context, the third into an exit: a run
// can be killed anywhere. Being asked is a first one, without a word about it.
func signals(ctx context.Context, asked <-chan struct{}, say func(string)) (<-chan struct{}, context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop, quit, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	incoming := make(chan os.Signal, 3)
	signal.Notify(incoming, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer close(ended)
		for n := 0; ; {
			select {
			case <-quit:
				return
			case <-asked:
				asked = nil
				if n == 0 {
					n = 1
					close(stop)
				}
				continue
			case <-incoming:
				n++
			}
			switch n {
			case 1:
				close(stop)
				say("Interrupted: stopping at the next safe point. Once more cancels the statement in hand.")
			case 2:
				cancel()
				say("Interrupted again: cancelling the statement in hand. Once more leaves at once.")
			default:
				os.Exit(exitInterrupted)
			}
		}
	}()
	return stop, ctx, func() { signal.Stop(incoming); close(quit); <-ended; cancel() }
}

func (a *app) jsonLine(v any) {
	if err := json.NewEncoder(a.out).Encode(v); err != nil {
		a.talk("Warning: an event could not be written: %s", err)
	}
}
