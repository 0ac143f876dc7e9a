package strategy

import (
	"testing"

	"pgregory.net/rapid"

	"pleat/spec"
)

// A rollout that is cut short anywhere, also within a move, and ordered anew from
// what stands then, as often as one likes, never serves with fewer than it promises,
// ends with what is wanted, and has nothing left to do then.
func TestCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &spec.Strategy{
			Kind:  rapid.SampledFrom([]spec.StrategyKind{spec.AllAtOnce, spec.Rolling}).Draw(t, "kind"),
			Batch: spec.Batch{Count: rapid.IntRange(1, 10).Draw(t, "batch")},
			Order: rapid.SampledFrom([]spec.Order{spec.StartFirst, spec.StopFirst}).Draw(t, "order"),
		}
		s.Surge = drawSurge(t, s.Order)
		wanted := rapid.IntRange(0, 9).Draw(t, "wanted")
		p := fresh("p", rapid.IntRange(0, 9).Draw(t, "old"), wanted)
		floor := min(len(p.Doomed), wanted)
		switch {
		case s.Kind != spec.Rolling:
		case s.Order == spec.StopFirst:
			floor = min(floor, max(0, wanted-s.Batch.Count))
		case s.Surge != nil:
			floor = min(floor, max(0, wanted-max(s.Batch.Count-s.Surge.Count, 0)))
		}
		for range rapid.IntRange(0, 5).Draw(t, "cuts") {
			follow(t, s, &p, floor, rapid.IntRange(0, 20).Draw(t, "instances"))
		}
		follow(t, s, &p, floor, 100)
		if p.Present != wanted || len(p.Missing)+len(p.Doomed) > 0 {
			t.Fatalf("it ended at %+v", p)
		}
		if left := Order(s, 1, []Process{p}); len(left) > 0 {
			t.Fatalf("there is more to do: %s", arrows(left))
		}
	})
}

// follow has that many instances come up or go down, in the strategy's order.
func follow(t *rapid.T, s *spec.Strategy, p *Process, floor, most int) {
	for _, m := range Order(s, 1, []Process{*p}) {
		for range m.Instances {
			if most--; most < 0 {
				return
			}
			if m.Up {
				p.Missing, p.Present = p.Missing[1:], p.Present+1
			} else {
				p.Doomed = p.Doomed[1:]
			}
			if n := p.Present + len(p.Doomed); n < floor {
				t.Fatalf("%d serving of %d promised: %+v", n, floor, *p)
			}
		}
	}
}
