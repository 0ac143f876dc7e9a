package planner_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"pleat/planner"
	"pleat/spec"
)

// load reads the draft's files, shuffled, as the spec that they are.
func (d *draft) load(t *testing.T, r *rand.Rand) *spec.Spec {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.print(dir, r); err != nil {
		t.Fatal(err)
	}
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatalf("the generator makes a spec that is refused: %s\n%s", diags, d)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	return sp
}

// answer is a plan's bytes and what a person reads, or why there is none, all
// without the places in the files, and without the order that these give to it.
func answer(t *testing.T, d *draft, sp *spec.Spec) []byte {
	plan, diags := planner.Make(sp, newScene(d, sp).state, patient)
	var out bytes.Buffer
	if plan == nil {
		var all []string
		for _, diag := range diags {
			all = append(all, diag.Summary+": "+diag.Detail+"\n")
		}
		slices.Sort(all)
		return []byte(strings.Join(all, ""))
	}
	for i := range plan.Steps {
		plan.Steps[i].Source = ""
	}
	if err := plan.WriteText(&out, planner.RenderOptions{Width: 100}); err != nil {
		t.Fatal(err)
	}
	return append(encode(t, plan), out.Bytes()...)
}

// Every random world is one that an author could write: its files load, and
// they make the plan that the spec built without them makes.
func TestFilesOfRandomWorldsPlanAlike(t *testing.T) {
	t.Parallel()
	n := 150
	if long() {
		n = 10_000
	}
	for seed := range uint64(n) {
		d := newDraft(seed)
		built, loaded := answer(t, d, d.spec()), answer(t, d, d.load(t, rand.New(rand.NewPCG(seed, 3))))
		if !bytes.Equal(built, loaded) {
			t.Fatalf("seed %d: the files make\n%s\nand the spec\n%s", seed, loaded, built)
		}
	}
}
