package spec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

func (l *loader) strategy(n *node, s *Strategy) {
	s.MaxStartFailures = n.count("max_start_failures")
	s.StepTimeout = n.duration("step_timeout")
	s.KeepPrevious = n.duration("keep_previous")
	kinds := n.table.blockNames()
	given := slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return n.block(kind) == nil })
	if len(given) != 1 && !n.later() {
		l.add(n.rng(), "One kind of strategy", "%s needs exactly one of the blocks %s.", n.title(), strings.Join(kinds, ", "))
	}
	s.Kind = AllAtOnce
	if rolling := n.block("rolling"); rolling != nil {
		s.Kind = Rolling
		s.Batch = rolling.batch("batch")
		s.Order = Order(rolling.str("order"))
	}
	if canary := n.block("canary"); canary != nil {
		s.Kind = Canary
		s.Steps = canarySteps(l, canary)
	}
	if offline := n.block("offline"); offline != nil {
		s.Kind = Offline
		s.SameVersion = offline.flag("same_version")
	}
	if s.Kind == Offline && s.KeepPrevious > 0 {
		l.add(n.at("keep_previous"), "Nothing to keep", "With offline, all instances of the release before stop: none of them can be kept up.")
	}
	if s.Order == StopFirst && s.KeepPrevious > 0 {
		l.add(n.at("keep_previous"), "Two at once", "With order = \"stop_first\" the releases never run beside each other, and one that is kept would.")
	}
}

// canarySteps are the steps of a canary, whose shares grow.
func canarySteps(l *loader, n *node) []*CanaryStep {
	var steps []*CanaryStep
	for _, b := range n.blocks("step") {
		s := &CanaryStep{Weight: b.count("weight"), Instances: b.batch("instances"), Hold: b.duration("hold"), Range: b.rng()}
		s.Verifies, _ = referAll(b, "verify", l.questions)
		if a := b.block("approve"); a != nil {
			s.Approve = &Approval{Timeout: a.duration("timeout"), Defer: a.str("on_timeout") == "defer", From: a.strs("from"), Range: a.rng()}
		}
		if len(steps) > 0 && s.Weight > 0 && s.Weight <= steps[len(steps)-1].Weight {
			l.add(b.at("weight"), "Weight does not grow", "The step before gives %d percent of the requests, and this one gives %d. Each step of a canary gives more than the one before.", steps[len(steps)-1].Weight, s.Weight)
		}
		steps = append(steps, s)
	}
	return steps
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

var percentForm = regexp.MustCompile(`^([0-9]{1,3})%$`)

// batch is a number of instances or a percentage.
func (n *node) batch(name string) Batch {
	v, ok := n.shown(name, cty.String)
	if !ok {
		return Batch{}
	}
	s := v.AsString()
	if m := percentForm.FindStringSubmatch(s); m != nil {
		if p, err := strconv.Atoi(m[1]); err == nil && p >= 1 && p <= 100 {
			return Batch{Percent: p}
		}
	}
	if i, err := strconv.Atoi(s); err == nil && i >= 1 && i <= 10000 {
		return Batch{Count: i}
	}
	n.problems.add(n.at(name), "Invalid batch", "The argument %s cannot be %s. It is a number of instances from 1 to 10000, such as 4, or a percentage from \"1%%\" to \"100%%\".", name, quote(s))
	return Batch{}
}
