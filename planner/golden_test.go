package planner_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"pleat/planner"
	"pleat/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden plans every testdata/plan/*.txtar: spec files, state.json and
// optionally goal.json in, plan.txt out.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("../testdata/plan/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			golden(t, file)
		})
	}
}

func golden(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sp, st, goal := world(t, a)
	got := render(t, sp, st, goal)
	for i := range a.Files {
		if a.Files[i].Name != "plan.txt" {
			continue
		}
		if *update {
			a.Files[i].Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if want := string(a.Files[i].Data); got != want {
			t.Errorf("plan differs; got:\n%s\nwant:\n%s", got, want)
		}
		return
	}
	t.Fatal("no plan.txt in the file")
}

// world loads the spec, the state and the goal of a golden file.
func world(t *testing.T, a *txtar.Archive) (*spec.Spec, *planner.State, planner.Goal) {
	dir := t.TempDir()
	st, goal := &planner.State{}, planner.Goal{}
	for _, f := range a.Files {
		switch f.Name {
		case "plan.txt":
		case "state.json":
			decode(t, f.Data, st)
		case "goal.json":
			decode(t, f.Data, &goal)
		default:
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return sp, st, goal
}

func decode(t *testing.T, b []byte, v any) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// render is the plan as a person reads it, or the diagnostics. On the way it
// checks what holds for every plan: the same inputs give the same bytes, and
// the bytes read back give the same plan.
func render(t *testing.T, sp *spec.Spec, st *planner.State, goal planner.Goal) string {
	plan, diags := planner.Make(sp, st, goal)
	var out strings.Builder
	for _, d := range diags {
		out.WriteString(d.Summary + ": " + d.Detail + "\n")
	}
	if plan == nil {
		return out.String()
	}
	if err := plan.WriteText(&out, planner.RenderOptions{Width: 100}); err != nil {
		t.Fatal(err)
	}
	first := encode(t, plan)
	for range 20 {
		again, _ := planner.Make(sp, st, goal)
		if !bytes.Equal(first, encode(t, again)) {
			t.Fatal("the same inputs gave other bytes")
		}
	}
	back, err := planner.Decode(first)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, encode(t, back)) {
		t.Fatal("decoding and encoding gave other bytes")
	}
	return out.String()
}

func encode(t *testing.T, p *planner.Plan) []byte {
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
