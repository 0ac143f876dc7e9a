package spec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

func (l *loader) strategy(n *node, s *Strategy) {
	s.MaxStartFailures = n.count("max_start_failures")
	s.StepTimeout = n.duration("step_timeout")
	s.ProgressDeadline = n.duration("progress_deadline")
	if s.ProgressDeadline > 0 && s.ProgressDeadline >= s.StepTimeout {
		n.problems.add(n.at("progress_deadline"), "Deadline without effect", "The step has failed after its step_timeout of %s. Let progress_deadline be shorter, or step_timeout longer.", FormatDuration(s.StepTimeout))
	}
	s.KeepPrevious = n.duration("keep_previous")
	s.HoldTraffic = n.duration("hold_traffic")
	kinds := slices.DeleteFunc(n.table.blockNames(), func(name string) bool { return name == smokeTable.name })
	given := slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return n.block(kind) == nil })
	if len(given) != 1 && !n.later() {
		l.add(n.rng(), "One kind of strategy", "%s needs exactly one of the blocks %s.", n.title(), strings.Join(kinds, ", "))
	}
	s.Kind = AllAtOnce
	if rolling := n.block("rolling"); rolling != nil {
		s.Kind = Rolling
		s.Batch = rolling.batch("batch")
		s.Order = Order(rolling.str("order"))
		s.Surge = rolling.surge(s.Order)
	}
	if canary := n.block("canary"); canary != nil {
		s.Kind = Canary
		s.Steps = canarySteps(l, canary)
		if k := canary.block("sticky"); k != nil {
			s.Sticky = &Sticky{}
			s.Sticky.Header, s.Sticky.Cookie = oneName(l, k)
		}
	}
	if both := n.block("blue_green"); both != nil {
		s.Kind = BlueGreen
		step := &TrafficStep{Hold: both.duration("hold"), Approve: approval(both.block("approve")), Range: both.rng()}
		if preview := both.block("preview"); preview != nil {
			step.Matches = []*Match{match(l, preview)}
		}
		step.Verifies, _ = referAll(both, "verify", l.questions)
		s.Steps = []*TrafficStep{step}
	}
	if n.block("cycle") != nil {
		s.Kind = Cycle
	}
	if n.block("handover") != nil {
		s.Kind, s.Batch, s.Order = Handover, Batch{Count: 1}, StartFirst
	}
	if c := n.block("primary_last"); c != nil {
		s.Kind, s.Batch, s.Order = PrimaryLast, Batch{Count: 1}, StartFirst
		s.Cluster = &Cluster{Process: c.str("process"), Range: c.rng()}
		if promote := c.block("promote"); promote != nil {
			s.Cluster.Promote, s.Cluster.Timeout = promote.argv("command"), promote.duration("timeout")
		}
	}
	for _, b := range n.blocks(smokeTable.name) {
		s.Smokes = append(s.Smokes, smoke(b))
	}
	if offline := n.block("offline"); offline != nil {
		s.Kind = Offline
		s.SameVersion = offline.flag("same_version")
	}
	if s.Kind == Offline && s.KeepPrevious > 0 {
		l.add(n.at("keep_previous"), "Nothing to keep", "With offline, all instances of the release before stop: none of them can be kept up.")
	}
	if s.HoldTraffic > 0 && s.Kind != Offline && s.Order != StopFirst {
		l.add(n.at("hold_traffic"), "Nothing to hold", "Only with offline and with order = \"stop_first\" there may be a time in which nothing of a service is up.")
	}
	if s.Kind == PrimaryLast && s.KeepPrevious > 0 {
		l.add(n.at("keep_previous"), "Nothing to keep", "With primary_last the instances of both releases are one cluster: those of the release before leave it one by one.")
	}
	if s.Order == StopFirst && s.KeepPrevious > 0 {
		l.add(n.at("keep_previous"), "Two at once", "With order = \"stop_first\" the releases never run beside each other, and one that is kept would.")
	}
}

// canarySteps are the steps of a canary, whose shares grow.
func canarySteps(l *loader, n *node) []*TrafficStep {
	var steps []*TrafficStep
	for _, b := range n.blocks("step") {
		s := &TrafficStep{Weight: b.count("weight"), Instances: b.batch("instances"), Hold: b.duration("hold"), Range: b.rng()}
		s.Verifies, _ = referAll(b, "verify", l.questions)
		for _, m := range b.blocks("match") {
			s.Matches = append(s.Matches, match(l, m))
		}
		s.Approve = approval(b.block("approve"))
		if len(steps) == 0 && s.Weight == 0 && len(s.Matches) == 0 {
			l.add(b.rng(), "Nothing for the new release", "The first step of a canary gives the new release a share of the requests (weight), or those that match.")
		}
		if len(steps) > 0 && (s.Weight > 0 || !b.has("weight")) && s.Weight <= steps[len(steps)-1].Weight {
			l.add(b.at("weight"), "Weight does not grow", "The step before gives %d percent of the requests, and this one gives %d. Each step of a canary gives more than the one before.", steps[len(steps)-1].Weight, s.Weight)
		}
		steps = append(steps, s)
	}
	return steps
}

// approval is what a block says, if there is one.
func approval(n *node) *Approval {
	if n == nil {
		return nil
	}
	return &Approval{Timeout: n.duration("timeout"), Defer: n.str("on_timeout") == "defer", From: n.strs("from"), Range: n.rng()}
}

func match(l *loader, n *node) *Match {
	m := &Match{Value: n.str("value")}
	m.Header, m.Cookie = oneName(l, n)
	return m
}

// oneName is the header or the cookie that a block is about.
func oneName(l *loader, n *node) (header, cookie string) {
	header, cookie = n.str("header"), n.str("cookie")
	if (header == "") == (cookie == "") {
		l.add(n.rng(), "Header or cookie", "%s needs exactly one of the arguments header and cookie.", n.title())
	}
	for _, name := range []string{"header", "cookie"} {
		if text := n.str(name); text != "" && !token(text) {
			l.add(n.at(name), "Invalid name", "%s cannot be the name of a %s: it has letters, digits and hyphens.", quote(text), name)
		}
	}
	return header, cookie
}

// token tells whether HTTP takes it for a name (RFC 9110, §5.6.2).
func token(s string) bool {
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) {
			return false
		}
	}
	return true
}

// smoke is a check that is asked once.
func smoke(n *node) *Check {
	c := &Check{Kind: CheckKind(n.labels[0]), Timeout: n.duration("timeout"), Range: n.rng()}
	c.asks(n)
	return c
}

// later tells whether the block holds one that this version refuses.
func (n *node) later() bool {
	return slices.ContainsFunc(n.syntax.Body.Blocks, func(b *hclsyntax.Block) bool {
		return slices.Contains(n.table.later, b.Type)
	})
}

// defaultStrategy is that of a service which names none: the defaults of the
// strategy block.
func defaultStrategy(service *node) *Strategy {
	n := orDefaults(nil, service, "strategy")
	return &Strategy{
		Kind:             Rolling,
		Order:            Order(orDefaults(nil, n, "rolling").str("order")),
		MaxStartFailures: n.count("max_start_failures"),
		StepTimeout:      n.duration("step_timeout"),
	}
}

var percentForm = Pattern(`^([0-9]{1,3})%$`)

// surge is a batch or none at all; nil where it is not given.
func (n *node) surge(order Order) *Batch {
	if !n.has("surge") {
		return nil
	}
	if order == StopFirst {
		n.problems.add(n.at("surge"), "Surge without a start", "With order = \"stop_first\" there are never more instances than the count. Leave out the argument surge, or the order.")
	}
	b := n.sized("surge", 0)
	return &b
}

// batch is a number of instances or a percentage.
func (n *node) batch(name string) Batch { return n.sized(name, 1) }

func (n *node) sized(name string, least int) Batch {
	v, ok := n.shown(name, cty.String)
	if !ok {
		return Batch{}
	}
	s := v.AsString()
	if m := percentForm().FindStringSubmatch(s); m != nil {
		if p, err := strconv.Atoi(m[1]); err == nil && p >= 1 && p <= 100 {
			return Batch{Percent: p}
		}
	}
	if i, err := strconv.Atoi(s); err == nil && i >= least && i <= 10000 {
		return Batch{Count: i}
	}
	n.problems.add(n.at(name), "Invalid batch", "The argument %s cannot be %s. It is a number of instances from %d to 10000, such as 4, or a percentage from \"1%%\" to \"100%%\".", name, quote(s), least)
	return Batch{}
}
