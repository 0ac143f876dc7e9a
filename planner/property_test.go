package planner_test

import (
	"fmt"
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
	return 1_200
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
