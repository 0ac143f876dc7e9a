package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pleat/planner"
	"pleat/providers/variables"
	"pleat/spec"
)

// Options are what a provider needs besides its block of the spec.
type Options struct {
	// Dir is the spec's directory: the program runs there, and artifacts are in it.
	Dir string
	// Known has the secrets and the database URLs that are handed over.
	Known variables.Source
	// Redact blanks secrets in what the program says; nil: none is known.
	Redact func(text string) string
	// At is told the names of crash points as they are reached; nil: nobody is.
	At func(point string)
}

// ProgramError is a program that did not answer as the protocol says.
type ProgramError struct {
	Address spec.Address
	Program string
	Problem string
	Said    []string // the last lines of its standard error
	sent    bool     // it may have done what it was asked
}

// Error is one line: who, what is wrong, and the last line that it said.
func (e *ProgramError) Error() string {
	text := fmt.Sprintf("%s: the program %s: %s", e.Address, e.Program, e.Problem)
	if len(e.Said) > 0 {
		text += "; it said: " + e.Said[len(e.Said)-1]
	}
	return text
}

// Detail is what it said last, "" for nothing.
func (e *ProgramError) Detail() string { return strings.Join(e.Said, "\n") }

// AnswerError is an error that the program answered with.
type AnswerError struct {
	Address spec.Address
	Answer  Error
}

// Error is the address and the message.
func (e *AnswerError) Error() string { return string(e.Address) + ": " + e.Answer.Message }

// Detail is what the program added.
func (e *AnswerError) Detail() string { return e.Answer.Detail }

// program is the processes of one block of the spec. Several goroutines may use
// it.
type program struct {
	address spec.Address
	spec    *spec.Program
	options Options
	hello   Hello
	must    []planner.Ability // what it cannot be without

	mu   sync.Mutex
	idle []*session
	can  []string // once known
}

func newProgram(address spec.Address, p *spec.Program, hello Hello, must []planner.Ability, o Options) *program {
	if o.Redact == nil {
		o.Redact = func(text string) string { return text }
	}
	if o.At == nil {
		o.At = func(string) {}
	}
	hello.Protocol = Version
	return &program{address: address, spec: p, options: o, hello: hello, must: must}
}

// abilities are what the program says that it can do; the planner's words are
// the protocol's.
func (p *program) abilities(ctx context.Context) ([]planner.Ability, error) {
	s, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	p.give(s)
	return p.known(), nil
}

func (p *program) known() []planner.Ability {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []planner.Ability{}
	for _, a := range p.can {
		out = append(out, planner.Ability(a))
	}
	return out
}

// take gives a process that has no request under way.
func (p *program) take(ctx context.Context) (*session, error) {
	for {
		s := p.rested()
		if s == nil {
			break
		}
		there, err := s.rest()
		if there {
			return s, nil
		}
		if err := s.giveUp(err); err != nil {
			return nil, p.named(err)
		}
	}
	s, err := begin(p.spec.Command, p.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.address, err)
	}
	if err := p.greet(ctx, s); err != nil {
		return nil, p.named(s.giveUp(err))
	}
	return s, nil
}

// rested is a process that was used before; nil: there is none.
func (p *program) rested() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	s := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return s
}

func (p *program) give(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, s)
}

// greet has the first word with a process.
func (p *program) greet(ctx context.Context, s *session) error {
	hello := p.hello
	hello.Settings = map[string]string{}
	for name, text := range p.spec.Settings {
		value, err := p.options.Known.Value(text)
		if err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
		hello.Settings[name] = value
	}
	var w Welcome
	c := call{method: MethodHello, params: hello, timeout: p.spec.Timeout, sent: func() {}, report: noReport}
	if err := s.into(ctx, c, &w); err != nil {
		return err
	}
	if w.Protocol != Version {
		return s.broken(fmt.Sprintf("it speaks version %d of the protocol, and this pleat speaks %d", w.Protocol, Version), false)
	}
	for _, m := range p.must {
		if !slices.Contains(w.Abilities, string(m)) {
			return s.broken(fmt.Sprintf("it does not say that it can do %s, without which it is no %s", m, hello.Kind), false)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.can = w.Abilities
	return nil
}

func noReport(Report) error { return errors.New("only apply has reports") }

// into asks and reads the result.
func (s *session) into(ctx context.Context, c call, result any) error {
	raw, err := s.ask(ctx, c)
	if err != nil {
		return err
	}
	if err := strict(raw, result); err != nil {
		return s.broken(fmt.Sprintf("it answered %s with %s: %s", c.method, excerpt(raw), err), true)
	}
	return nil
}

// ask asks what changes nothing.
func (p *program) ask(ctx context.Context, m Method, params, result any) error {
	return p.exchange(ctx, call{method: m, params: params, timeout: p.spec.Timeout, sent: func() {}, report: noReport}, result)
}

// exchange has one request answered. A process that broke the rules is ended.
func (p *program) exchange(ctx context.Context, c call, result any) error {
	s, err := p.take(ctx)
	if err != nil {
		return err
	}
	err = s.into(ctx, c, result)
	var broken *brokenError
	if errors.As(err, &broken) {
		return p.named(s.giveUp(err))
	}
	p.give(s)
	return p.named(err)
}

// named says whose error it is, without secrets.
func (p *program) named(err error) error {
	var broken *brokenError
	var answer *Error
	switch {
	case errors.As(err, &broken):
		e := &ProgramError{Address: p.address, Program: p.spec.Command[0], Problem: p.options.Redact(broken.problem)}
		for _, line := range broken.said {
			e.Said = append(e.Said, p.options.Redact(line))
		}
		e.sent = broken.sent
		return e
	case errors.As(err, &answer):
		return p.answered(answer)
	case err != nil:
		return fmt.Errorf("%s: %w", p.address, err)
	}
	return nil
}

func (p *program) answered(a *Error) error {
	return &AnswerError{Address: p.address, Answer: Error{
		Kind: a.Kind, Message: p.options.Redact(a.Message), Detail: p.options.Redact(a.Detail),
	}}
}

// unsure marks the error of an apply after which the effect may be there as
// planner.ErrOutcomeUnknown, and one of which nothing was done because ctx ended
// as the context's.
func unsure(ctx context.Context, err error) error {
	var broken *ProgramError
	var answer *AnswerError
	switch {
	case errors.As(err, &broken) && broken.sent:
		return fmt.Errorf("%w: %w", planner.ErrOutcomeUnknown, err)
	case !errors.As(err, &answer):
		return err
	}
	switch answer.Answer.Kind {
	case Failed, Fenced:
		return err
	case Unwell:
		return fmt.Errorf("%w: %w", planner.ErrUnwell, err)
	case Cancelled:
		return errors.Join(ctx.Err(), err)
	}
	return fmt.Errorf("%w: %w", planner.ErrOutcomeUnknown, err)
}

// close ends the processes. Each may finish what it does.
func (p *program) close() (err error) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var ending sync.WaitGroup
	problems := make([]error, len(idle))
	for n, s := range idle {
		ending.Go(func() { problems[n] = s.end(grace) })
	}
	ending.Wait()
	return errors.Join(problems...)
}

func ticketOf(t planner.Ticket) Ticket {
	return Ticket{Run: t.Run, Lease: t.Lease, Authority: t.Authority, Fence: t.Fence}
}

func (p *program) announce(ctx context.Context, t planner.Ticket) error {
	var nothing struct{}
	return p.ask(ctx, MethodAnnounce, Announcement{ticketOf(t)}, &nothing)
}

// probe asks for the outcome of a step.
func (p *program) probe(ctx context.Context, t planner.Ticket, s planner.Step, kind string, action any) (planner.Outcome, error) {
	step, err := stepOf(t, s, kind, action)
	if err != nil {
		return planner.Unknown, err
	}
	var o Outcome
	if err := p.ask(ctx, MethodProbe, step, &o); err != nil {
		return planner.Unknown, err
	}
	switch o.Outcome {
	case Done:
		return planner.Done, nil
	case NotDone:
		return planner.NotDone, nil
	}
	return planner.Unknown, fmt.Errorf("%s: asked for the outcome of %s, the program %s answered %q", p.address, kind, p.spec.Command[0], o.Outcome)
}

// apply has the program make a step's effect. timeout is when to end it, 0
// never.
func (p *program) apply(ctx context.Context, t planner.Ticket, s planner.Step, kind string, action any, timeout time.Duration, report func(Report) error) error {
	step, err := stepOf(t, s, kind, action)
	if err != nil {
		return err
	}
	can, err := p.abilities(ctx)
	if err != nil {
		return err
	}
	if missing := planner.Missing(can, s.Action); missing != "" {
		return fmt.Errorf("%s: the program %s does not say that it can do %s", p.address, p.spec.Command[0], missing)
	}
	var o Outcome
	c := call{method: MethodApply, params: step, timeout: timeout, report: report, sent: func() { p.options.At("rollout.called") }}
	if err := p.exchange(ctx, c, &o); err != nil {
		return unsure(ctx, err)
	}
	p.options.At("rollout.answered")
	if o.Outcome != Done {
		return fmt.Errorf("%w: %s: asked to apply %s, the program %s answered %q and no error", planner.ErrOutcomeUnknown, p.address, kind, p.spec.Command[0], o.Outcome)
	}
	return nil
}

func stepOf(t planner.Ticket, s planner.Step, kind string, action any) (Step, error) {
	raw, err := json.Marshal(action)
	if err != nil {
		return Step{}, fmt.Errorf("encoding the step: %w", err)
	}
	return Step{Ticket: ticketOf(t), Step: s.ID, LimitMS: s.Limits.Run.Milliseconds(), ProgressMS: s.Limits.Progress.Milliseconds(), StayMS: s.Limits.Stay.Milliseconds(), Kind: kind, Action: raw}, nil
}
