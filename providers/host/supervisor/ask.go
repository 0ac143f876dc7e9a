package supervisor

import (
	"context"
	"errors"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/check"
	"pleat/spec"
)

// Ask asks an instance that is up one question, where it listens itself. It
// returns within the check's time; a program runs with the instance's
// environment.
func (s *Supervisor) Ask(ctx context.Context, r api.Ref, a api.Ask) (api.Answer, error) {
	i := s.find(r)
	if i == nil || i.snapshot().State != planner.Up {
		return api.Answer{}, api.Errorf(api.CodeConflict, "%s is not up", r)
	}
	run, err := i.prepare()
	if err != nil {
		return api.Answer{}, err
	}
	expanded, err := expandChecks([]*spec.Check{a.Check}, i.names())
	if err != nil {
		return api.Answer{}, api.Errorf(api.CodeInvalid, "%v", err)
	}
	err = check.Once(ctx, check.Target{Host: i.Address, Port: i.rec.Port, Env: run.env, Dir: run.dir, Credential: run.who.who()}, expanded[0])
	if err == nil {
		return api.Answer{}, nil
	}
	out := api.Answer{Error: s.hidden.blank(err.Error())}
	var program *check.CommandError
	if errors.As(err, &program) {
		out.Error, out.Output = program.Err.Error(), s.hidden.blankAll(program.Output)
	}
	return out, nil
}

func (s *Supervisor) find(r api.Ref) *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instances[r]
}
