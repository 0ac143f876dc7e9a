package planner_test

import (
	"bytes"
	"regexp"
	"testing"

	"golang.org/x/tools/txtar"

	"pleat/planner"
)

// TestClusterKeepsItsCopies: a stop in a cluster that gets requests has the floor of
// one that gets none, since a copy may go after the router was asked.
func TestClusterKeepsItsCopies(t *testing.T) {
	a, err := txtar.ParseFile("../testdata/plan/primary_last.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range a.Files {
		if f.Name == "pg.pleat.hcl" {
			text := bytes.Replace(f.Data, []byte("count = 3"), []byte("count = 3\n    routed = true"), 1)
			text = bytes.Replace(text, []byte("service \"pg\" {"), []byte("router \"proxy\" \"edge\" {\n  listen = \"127.0.0.1:8080\"\n}\n\nservice \"pg\" {\n  router = router.proxy.edge"), 1)
			a.Files[i].Data = text
		}
	}
	sp, st, goal := world(t, a)
	edge := &planner.Router{Identity: "edge"}
	for _, name := range []string{"db.1", "db.2", "db.3"} {
		edge.Backends = append(edge.Backends, planner.Backend{Service: "pg", Release: "1", Instance: name})
	}
	st.Routers = map[string]*planner.Router{"router.proxy.edge": edge}
	plan, diags := planner.Make(sp, st, goal)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	stops := 0
	for _, s := range plan.Steps {
		if stop, ok := s.Action.(*planner.Stop); ok && stop.Role != "" {
			stops++
			if stop.Floor != 3 {
				t.Errorf("%s as %s keeps %d others, want 3", s.Title, stop.Role, stop.Floor)
			}
		}
	}
	if stops != 3 {
		t.Errorf("%d of 3 stops are of the cluster", stops)
	}
}

// TestWhatCameIntoAClusterGoesBackByItsRole: a start in a cluster is undone only while
// another one leads it or, where nobody has to be promoted, has all that is confirmed.
// Where there was none before all of it goes.
func TestWhatCameIntoAClusterGoesBackByItsRole(t *testing.T) {
	for name, c := range map[string]struct {
		promoted, there bool
		want            planner.Role
	}{
		"one has to be promoted":           {promoted: true, there: true, want: planner.Async},
		"they see to a primary themselves": {there: true, want: planner.AnyRole},
		"there was none":                   {},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := txtar.ParseFile("../testdata/plan/primary_last.txtar")
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range a.Files {
				if f.Name == "pg.pleat.hcl" && !c.promoted {
					a.Files[i].Data = regexp.MustCompile(`(?s)    promote \{.*?\}\n`).ReplaceAll(f.Data, nil)
				}
			}
			sp, st, goal := world(t, a)
			if !c.there {
				st.Orchestrators["orchestrator.host.local"].Instances = nil
			}
			plan, diags := planner.Make(sp, st, goal)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			starts := 0
			for _, s := range plan.Steps {
				a, ok := s.Action.(*planner.Start)
				if !ok {
					continue
				}
				want := c.want
				if a.Definition.Process != "db" {
					want = ""
				}
				starts++
				if got := s.Undo.Action.(*planner.Stop).Role; got != want {
					t.Errorf("%s is undone as %q, want %q", s.Title, got, want)
				}
			}
			if starts < 2 {
				t.Errorf("%d starts", starts)
			}
		})
	}
}
