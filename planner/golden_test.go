package planner_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden plans every testdata/plan/*.txtar: spec files and state.json in,
// plan.txt out, and plan.40.txt, plan.md and plan.html where the file has them. phases.json says
// how far changes have come, goal.json what the plan is for.
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
	text, plan := render(t, sp, st, goal)
	found := false
	for i, f := range a.Files {
		var got string
		switch f.Name {
		case "plan.txt":
			got, found = text, true
		case "plan.md":
			got = written(t, plan.WriteMarkdown)
		case "plan.html":
			got = written(t, plan.WriteHTML)
		case "plan.40.txt":
			got = inColumns(t, plan, 40)
		default:
			continue
		}
		if want := string(f.Data); got != want && !*update {
			t.Errorf("%s differs; got:\n%s\nwant:\n%s", f.Name, got, want)
		}
		a.Files[i].Data = []byte(got)
	}
	if !found {
		t.Fatal("no plan.txt in the file")
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func written(t *testing.T, write func(io.Writer) error) string {
	var out strings.Builder
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// world loads the spec, the state and the goal of a golden file.
func world(t *testing.T, a *txtar.Archive) (*spec.Spec, *planner.State, planner.Goal) {
	dir := t.TempDir()
	st, goal, phases := &planner.State{}, planner.Goal{}, map[string]migrations.Phase{}
	for _, f := range a.Files {
		switch f.Name {
		case "plan.txt", "plan.40.txt", "plan.md", "plan.html":
		case "state.json":
			decode(t, f.Data, st)
		case "phases.json":
			decode(t, f.Data, &phases)
		case "goal.json":
			decode(t, f.Data, &goal)
		default:
			file := filepath.Join(dir, f.Name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	advance(sp, st, phases)
	return sp, st, goal
}

// advance makes catalog and record of the state what they are once the changes
// have come to these phases.
func advance(sp *spec.Spec, st *planner.State, phases map[string]migrations.Phase) {
	for _, c := range sp.Changes {
		phase, ok := phases[c.Name]
		if !ok {
			continue
		}
		db := st.Databases[c.Database.Name]
		program, _ := migrations.Lower(c, db.Catalog)
		db.Catalog = migrations.Project(db.Catalog, program, phase)
		if db.Changes == nil {
			db.Changes = map[string]migrations.Recorded{}
		}
		r := db.Changes[c.Name]
		r.Phase, r.Digest = phase, program.Digest
		db.Changes[c.Name] = r
	}
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
func render(t *testing.T, sp *spec.Spec, st *planner.State, goal planner.Goal) (string, *planner.Plan) {
	plan, diags := planner.Make(sp, st, goal)
	var out strings.Builder
	for _, d := range diags {
		out.WriteString(d.Summary + ": " + d.Detail + "\n")
	}
	if plan == nil {
		return out.String(), nil
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
	for _, width := range []int{40, 60, 78, 79} {
		fits(t, inColumns(t, plan, width), width)
	}
	return out.String(), plan
}

func inColumns(t *testing.T, plan *planner.Plan, width int) string {
	return written(t, func(w io.Writer) error { return plan.WriteText(w, planner.RenderOptions{Width: width}) })
}

// fits wants no line of a plan wider than the terminal, but for words that a column
// has no room for.
func fits(t *testing.T, text string, width int) {
	const column = 13 // the narrowest of the table
	for _, line := range strings.Split(text, "\n") {
		long := func(word string) bool { return utf8.RuneCountInString(word) > column }
		if n := utf8.RuneCountInString(line); n > width && !slices.ContainsFunc(strings.Fields(line), long) {
			t.Errorf("%d of %d columns: %s", n, width, line)
		}
	}
}

func encode(t *testing.T, p *planner.Plan) []byte {
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
