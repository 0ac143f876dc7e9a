package spec

import "slices"

// task is a program that a rollout of the service runs.
func (l *loader) task(n *node, s *Service) *Task {
	t := &Task{
		Name: n.labels[0], Run: Moment(n.str("run")), Each: n.str("per") == "instance", Process: n.str("process"),
		Command: n.argv("command"), Timeout: n.duration("timeout"), Range: n.rng(),
	}
	if undo := n.block("undo"); undo != nil {
		t.Undo = undo.argv("command")
	}
	l.nameFits(n, t.Name)
	names := processNames(s.Processes)
	switch own := mainProcess(s.Processes); {
	case t.Process != "":
		n.oneOfNames(n.at("process"), "process", t.Process, names)
	case own != nil:
		t.Process = own.Name
	case len(names) > 0:
		l.add(n.rng(), "Whose task", "%s needs the argument process, because several processes could be meant.%s", n.title(), existing(names))
	}
	if t.Each && t.Run == BeforeStart {
		l.add(n.at("per"), "No instance yet", "With run = \"before_start\" there is no instance that a task could be for. It is run once.")
	}
	if t.Run == AtCanary && len(s.Strategy.Steps) == 0 {
		l.add(n.at("run"), "No canary", "%s has a strategy that gives no release a share of the requests first: only with canary and blue_green there is such a moment.", s.Address())
	}
	return t
}

// mainProcess is the one that gets requests, or the only one; nil where that
// does not tell one from the others.
func mainProcess(list []*Process) *Process {
	routed := slices.DeleteFunc(slices.Clone(list), func(p *Process) bool { return !p.Routed })
	if len(routed) == 0 {
		routed = list
	}
	if len(routed) != 1 {
		return nil
	}
	return routed[0]
}
