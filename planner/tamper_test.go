package planner_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"golang.org/x/tools/txtar"

	"pleat/planner"
)

// TestDecodeRefusesEveryOtherByte changes a saved plan in every place and in
// several ways; what is left of one byte that differs is no plan.
func TestDecodeRefusesEveryOtherByte(t *testing.T) {
	saved := savedPlan(t, "scaled")
	refused := 0
	for i := range saved {
		for _, altered := range alterations(saved, i) {
			if bytes.Equal(altered, saved) {
				continue
			}
			refuse(t, altered)
			refused++
		}
		if t.Failed() {
			t.Fatalf("at byte %d of %d", i, len(saved))
		}
	}
	if refused < 20_000 {
		t.Errorf("only %d cases", refused)
	}
}

// alterations are a plan with byte i flipped in its lowest and its case bit,
// deleted, and doubled.
func alterations(saved []byte, i int) [][]byte {
	with := func(middle ...byte) []byte {
		return append(append(append([]byte(nil), saved[:i]...), middle...), saved[i+1:]...)
	}
	b := saved[i]
	return [][]byte{with(b ^ 1), with(b ^ 0x20), with(), with(b, b)}
}

// TestDecodeRefusesOtherSteps takes steps away, doubles and reorders them, in a
// file that is as well formed as before, sum and all but one thing.
func TestDecodeRefusesOtherSteps(t *testing.T) {
	saved := savedPlan(t, "release_with_its_change")
	steps := stepsOf(t, saved)
	for i := range steps {
		without := append(append([]json.RawMessage(nil), steps[:i]...), steps[i+1:]...)
		refuse(t, withSteps(t, saved, without))
		refuse(t, withSteps(t, saved, append(append([]json.RawMessage(nil), steps[:i+1]...), steps[i:]...)))
		for j := range i {
			swapped := append([]json.RawMessage(nil), steps...)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			refuse(t, withSteps(t, saved, swapped))
		}
	}
	for _, altered := range [][]byte{append(bytes.Clone(saved), '\n'), append([]byte{' '}, saved...), append(bytes.Clone(saved), saved...), saved[:len(saved)/2], nil} {
		refuse(t, altered)
	}
	if again, err := planner.Decode(withSteps(t, saved, steps)); err != nil || again.Empty() {
		t.Errorf("the same steps are refused: %v", err)
	}
}

// TestDecodeReadsPlansOfOtherPleats: one that is written in another way is the
// same plan; one that says what this pleat does not know is refused by the name
// of who made it.
func TestDecodeReadsPlansOfOtherPleats(t *testing.T) {
	saved := savedPlan(t, "scaled")
	if p, err := planner.Decode(sealed(bytes.Replace(saved, []byte(`": `), []byte(`":`), 1))); err != nil || p.Empty() {
		t.Errorf("written in another way: %v", err)
	}
	for _, altered := range []string{`"pleat_plan": 2,`, `"pleat_plan": 1, "later": true,`} {
		altered = `"made_by": "pleat 9.0.0", ` + altered
		_, err := planner.Decode(sealed(bytes.Replace(saved, []byte(`"pleat_plan": 1,`), []byte(altered), 1)))
		var foreign *planner.ForeignError
		if !errors.As(err, &foreign) || foreign.By != "pleat 9.0.0" {
			t.Errorf("%s: err = %v", altered, err)
		}
	}
}

var sum = regexp.MustCompile(`sha256:[0-9a-f]+"\n}\n$`)

// sealed gives a file the sum that fits it.
func sealed(b []byte) []byte {
	open := sum.ReplaceAll(b, []byte("\"\n}\n"))
	return sum.ReplaceAll(b, fmt.Appendf(nil, "sha256:%x\"\n}\n", sha256.Sum256(open)))
}

func refuse(t *testing.T, altered []byte) {
	t.Helper()
	_, err := planner.Decode(altered)
	var corrupt *planner.CorruptError
	if !errors.As(err, &corrupt) {
		t.Errorf("err = %v for:\n%s", err, altered)
	}
}

func savedPlan(t *testing.T, golden string) []byte {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("../testdata/plan", golden+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	sp, st, goal := world(t, a)
	plan, diags := planner.Make(sp, st, goal)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	saved, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := planner.Decode(saved); err != nil {
		t.Fatal(err)
	}
	return saved
}

func stepsOf(t *testing.T, saved []byte) []json.RawMessage {
	t.Helper()
	var f struct{ Steps []json.RawMessage }
	if err := json.Unmarshal(saved, &f); err != nil {
		t.Fatal(err)
	}
	return f.Steps
}

// withSteps is the file with other steps, indented as Encode does it.
func withSteps(t *testing.T, saved []byte, steps []json.RawMessage) []byte {
	t.Helper()
	begin := bytes.Index(saved, []byte(`  "steps": [`))
	end := begin + bytes.Index(saved[begin:], []byte("\n  ],\n"))
	text := []byte(`  "steps": [`)
	for i, s := range steps {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, "\n    "...), s...)
	}
	return append(append(append([]byte(nil), saved[:begin]...), text...), saved[end:]...)
}
