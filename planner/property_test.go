package planner_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pleat/planner"
	"pleat/spec"
)

// long tells whether the long tests were asked for.
func long() bool { return os.Getenv("PLEAT_TEST_LONG") != "" }

// worlds is how many random worlds the properties are tried on.
func worlds() int {
	if long() {
		return 100_000
	}
	return 2_000
}

// patient lets random releases replace each other, whatever their code
// contains, and waits for everything that time brings.
var patient = planner.Goal{AcceptLineage: "a random world", MaxWait: 1000 * time.Hour}

// tally counts worlds by what came of them.
type tally struct {
	sync.Mutex
	ways, dead, refused, tooLarge     int
	contracts, kept, offline, between int
	cuts, otherOrder, otherWay        int
}

// In random worlds, whenever trying everything finds a way the planner finds
// one that is as short, and the other way round. The plan, carried out step by
// step, makes no release meet a schema that it cannot live with. What is left
// of it after any step is planned to the same end, its undo leads back, and
// what has nothing to do with it changes none of it.
func TestRandomWorlds(t *testing.T) {
	const shards = 8
	count := &tally{}
	t.Run("seeds", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for seed := shard; seed < worlds(); seed += shards {
					judge(t, uint64(seed), count)
				}
			})
		}
	})
	t.Logf("%d worlds with a way, %d without, %d refused, %d too large", count.ways, count.dead, count.refused, count.tooLarge)
	t.Logf("%d plans contract, %d keep releases, %d go offline, %d go by a release in between", count.contracts, count.kept, count.offline, count.between)
	t.Logf("of %d plans that are cut at a checkpoint %d go on in another order, %d in another way", count.cuts, count.otherOrder, count.otherWay)
	for name, n := range map[string]int{
		"with a way": count.ways / 4, "without": count.dead, "refused": count.refused * 2, "contracting": count.contracts,
		"keeping": count.kept * 4, "offline": count.offline * 2, "going by others": count.between * 4,
	} {
		if n < worlds()/20 {
			t.Errorf("too few worlds %s: the generator proves too little", name)
		}
	}
	if count.otherOrder > count.cuts/50 || count.otherWay > count.cuts/200 {
		t.Errorf("%d of %d plans go on in another order when they are cut, and %d in another way", count.otherOrder, count.cuts, count.otherWay)
	}
	if count.tooLarge > worlds()/100 {
		t.Errorf("%d of %d worlds are too large to try everything", count.tooLarge, worlds())
	}
}

// judge tries every property on one world.
func judge(t *testing.T, seed uint64, count *tally) {
	d := newDraft(seed)
	s := newScene(d, d.spec())
	plan, diags := planner.Make(s.spec, s.state, patient)
	if plan == nil && !diags.HasErrors() {
		t.Fatalf("seed %d: neither a plan nor a reason", seed)
	}
	rolls, found, tooLarge := 0, false, false
	if d.refusal() == "" {
		rolls, found, tooLarge = d.shortest()
	}
	count.world(d, found, tooLarge)
	switch {
	case tooLarge:
		return
	case found != (plan != nil):
		t.Errorf("seed %d: trying everything says %v, the planner says %v (%s)\n%s", seed, found, plan != nil, diags, d)
		return
	case plan == nil:
		return
	}
	v := &verdict{T: t, draft: d, plan: plan, count: count}
	v.ordered()
	v.walked(s)
	if s.rolls > rolls {
		t.Errorf("seed %d: the plan rolls out %d times, %d would do", seed, s.rolls, rolls)
	}
	v.contracted(s)
	v.finished(s)
	v.cut(s.digest())
	v.undone()
	v.putOff()
	v.unmoved()
}

func (c *tally) world(d *draft, found, tooLarge bool) {
	c.Lock()
	defer c.Unlock()
	switch {
	case d.refusal() != "":
		c.refused++
	case tooLarge:
		c.tooLarge++
	case found:
		c.ways++
	default:
		c.dead++
	}
}

// verdict is about the plan of one world.
type verdict struct {
	*testing.T
	*draft
	plan  *planner.Plan
	count *tally
}

// wrong reports what is not as it should be, with the seed.
func (v *verdict) wrong(format string, args ...any) {
	v.Helper()
	v.Errorf("seed %d: %s", v.seed, fmt.Sprintf(format, args...))
}

// again is the world of the plan, untouched.
func (v *verdict) again() *scene { return newScene(v.draft, v.draft.spec()) }

// ordered asks that every step says why it is there, and comes after what it
// needs.
func (v *verdict) ordered() {
	seen := map[string]bool{}
	for _, s := range v.plan.Steps {
		if s.Cause == "" || s.Safety == "" {
			v.wrong("%s has no cause or no safety", s.ID)
		}
		if seen[s.ID] {
			v.wrong("two steps are %s", s.ID)
		}
		seen[s.ID] = true
		for _, need := range s.Needs {
			if !seen[need] {
				v.wrong("%s needs %s, which comes later or never", s.ID, need)
			}
		}
	}
}

// walked carries the plan out, and asks of every step whether it may.
func (v *verdict) walked(s *scene) {
	seen := map[string]bool{}
	for _, step := range v.plan.Steps {
		if step.Deferred != "" {
			continue
		}
		if why := s.misstep(step.Action); why != "" {
			v.wrong("at %s: %s\n%s", step.ID, why, v.draft)
			return
		}
		seen[string(step.Kind)] = true
	}
	s.settle()
	if !s.reached(s.node()) {
		v.wrong("the plan ends in\n%s", s.words(s.node()))
	}
	v.count.Lock()
	defer v.count.Unlock()
	v.count.contracts += one(seen[string(planner.KindContract)])
	v.count.kept += one(seen[string(planner.KindHold)])
	v.count.between += one(slices.ContainsFunc(v.plan.Steps, func(s planner.Step) bool { return strings.Contains(s.Section, " first") }))
	v.count.offline += one(slices.ContainsFunc(v.services, func(x draftService) bool { return x.strategy.kind == spec.Offline }) && seen[string(planner.KindStop)])
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// contracted asks that exactly those contracts are planned now which no release
// at the end is against.
func (v *verdict) contracted(s *scene) {
	end := s.node()
	for c, change := range v.changes {
		if !change.contract {
			continue
		}
		free := end
		free.phases[c] = max(free.phases[c], hidden)
		free.phases[c] = contracted
		needed := v.illegal(free)
		if needed == "" && end.phases[c] != contracted {
			v.wrong("%s is not contracted, and nothing needs it", v.changeName(c))
		}
		if needed != "" && v.start.phases[c] < hidden && end.phases[c] >= hidden {
			v.wrong("%s is %s, and %s", v.changeName(c), phaseNames[end.phases[c]], needed)
		}
	}
	for _, step := range v.plan.Steps {
		if step.Deferred != "" && step.Kind != planner.KindContract && step.Kind != planner.KindVerify && step.Kind != planner.KindCheckpoint {
			v.wrong("%s is deferred: %s", step.ID, step.Deferred)
		}
	}
}

// finished asks that nothing is left to do.
func (v *verdict) finished(s *scene) {
	again, diags := planner.Make(s.spec, s.state, patient)
	switch {
	case again == nil:
		v.wrong("planning again: %s", diags)
	case again.Now() > 0:
		v.wrong("planning again wants %s", ids(again.Steps))
	}
}

// cut stops the plan at a random place and asks that what is planned then ends
// where the whole one does.
func (v *verdict) cut(end string) {
	r := rand.New(rand.NewPCG(v.seed, 7))
	at := r.IntN(len(v.plan.Steps) + 1)
	if places := v.checkpoints(); len(places) > 0 && r.IntN(2) == 0 {
		at = places[r.IntN(len(places))]
	}
	s := v.again()
	s.run(v.plan.Steps[:at])
	rest, diags := planner.Make(s.spec, s.state, patient)
	if rest == nil {
		v.wrong("cut after %d steps: %s", at, diags)
		return
	}
	if at < len(v.plan.Steps) && v.plan.Steps[at].Kind == planner.KindCheckpoint {
		v.goesOn(rest, at)
	}
	s.run(rest.Steps)
	if got := s.digest(); got != end {
		v.wrong("cut after %d steps, it ends in\n%s\nand uncut in\n%s", at, got, end)
	}
}

func (v *verdict) checkpoints() []int {
	var out []int
	for i, s := range v.plan.Steps {
		if s.Kind == planner.KindCheckpoint {
			out = append(out, i)
		}
	}
	return out
}

// goesOn compares the rest of a plan with the plan of what is left. Parts that
// have nothing to do with each other may take turns in another order, and of two
// releases in between that are as good the other one may be taken.
func (v *verdict) goesOn(rest *planner.Plan, at int) {
	was, is := ids(v.plan.Steps[at:]), ids(rest.Steps)
	// What an earlier run verified is asked again before a contract.
	is = slices.DeleteFunc(is, func(id string) bool { return strings.Contains(id, "/verify.") && !slices.Contains(was, id) })
	same := slices.Equal(was, is)
	slices.Sort(was)
	slices.Sort(is)
	v.count.Lock()
	defer v.count.Unlock()
	v.count.cuts++
	switch {
	case same:
	case slices.Equal(was, is):
		v.count.otherOrder++
	default:
		v.count.otherWay++
	}
}

// ids are the steps that run now, but for checkpoints, each without the number
// of one that comes twice.
func ids(steps []planner.Step) []string {
	var out []string
	for _, s := range steps {
		if s.Kind != planner.KindCheckpoint && s.Deferred == "" {
			out = append(out, strings.TrimSuffix(s.ID, "/2"))
		}
	}
	return out
}

// undone takes a prefix of the plan back, the last step first. On the way no
// release may meet what it cannot live with either.
func (v *verdict) undone() {
	r := rand.New(rand.NewPCG(v.seed, 8))
	at := len(v.plan.Steps)
	if r.IntN(2) == 0 {
		at = r.IntN(at + 1)
	}
	if i := slices.IndexFunc(v.plan.Steps[:at], func(s planner.Step) bool { return s.Undo == nil || s.Undo.Bars || s.Deferred != "" }); i >= 0 {
		at = i
	}
	s := v.again()
	before := s.roughly(nil)
	s.run(v.plan.Steps[:at])
	stays := map[string]bool{}
	for i := at - 1; i >= 0; i-- {
		step := v.plan.Steps[i]
		if step.Undo.Action == nil {
			stays[string(step.Address)] = true
			continue
		}
		s.take(step.Undo.Action)
		if why := s.illegal(s.node()); why != "" {
			v.wrong("undoing %s after %d steps: %s", step.ID, at, why)
			return
		}
	}
	if before = s.without(before, stays); s.roughly(stays) != before {
		v.wrong("undone after %d steps, it is\n%s\nand was\n%s", at, s.roughly(stays), before)
	}
}

// unmoved adds what has nothing to do with the rest, and asks that the rest
// stays as it is.
func (v *verdict) unmoved() {
	if v.seed%4 != 0 {
		return
	}
	s := v.again()
	s.intrude(v.seed%8 == 0)
	other, diags := planner.Make(s.spec, s.state, patient)
	if other == nil {
		v.wrong("with something unrelated: %s", diags)
		return
	}
	was, is := v.bytes(v.plan), v.bytes(other)
	if !bytes.Equal(was, is) {
		v.wrong("with something unrelated, its own steps are\n%s\nand were\n%s", is, was)
	}
}

// bytes are the steps but for checkpoints, whose letters count on, and for what
// is unrelated.
func (v *verdict) bytes(p *planner.Plan) []byte {
	var own planner.Plan
	for _, s := range p.Steps {
		if s.Kind == planner.KindCheckpoint || strings.Contains(string(s.Address), "stranger") {
			continue
		}
		s.Guards = slices.Clone(s.Guards)
		for i, g := range s.Guards {
			if asks, ok := g.(*planner.NoSessions); ok {
				kept := familiar(*asks)
				s.Guards[i] = &kept
			}
		}
		if a, ok := s.Action.(*planner.Transaction); ok {
			asked := *a
			asked.Evidence = slices.Clone(a.Evidence)
			for i, asks := range a.Evidence {
				asked.Evidence[i] = familiar(asks)
			}
			s.Action = &asked
		}
		own.Steps = append(own.Steps, s)
	}
	return encode(v.T, &own)
}

// familiar is a question for sessions without the stranger among those that may
// have some: every release that anybody declares is.
func familiar(asks planner.NoSessions) planner.NoSessions {
	asks.Except = slices.DeleteFunc(slices.Clone(asks.Except), func(name string) bool { return strings.Contains(name, "stranger@") })
	return asks
}
