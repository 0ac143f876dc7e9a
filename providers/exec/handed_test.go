package exec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/providertest"
	"pleat/providers/variables"
	"pleat/spec"
)

// TestSecretsAreInRequests: an instance finds them in its environment, and the
// program neither in its own nor in its arguments.
func TestSecretsAreInRequests(t *testing.T) {
	t.Setenv("PLEAT_VAR_token", secret)
	w := newWorld(t, platform(t))
	w.known = variables.Source{
		Reveal: func(ref string) (string, bool) { return secret, ref == "service.users.env.TOKEN" },
		DatabaseURL: func(name string) (spec.Text, bool) {
			return spec.Secret("database.main.url", "postgres://app:"+secret+"@db/app"), name == "main"
		},
	}
	w.open()
	a := w.start("1.0.0", 1, providertest.Works)
	a.Database = "main"
	a.Definition.Env = map[string]spec.Text{"TOKEN": spec.Secret("service.users.env.TOKEN", ""), "WHERE": spec.Plain("at ${ADDR}")}
	w.must(a)
	env := agenttest.Get(t, w.address(a, a.Instances[0]), "/env")
	for _, want := range []string{
		"TOKEN=" + secret, "WHERE=at 127.0.0.1:", "DATABASE_URL=postgres://app:" + secret + "@db/app?application_name=users%401.0.0%2Fweb.1",
	} {
		if !strings.Contains(env, want) {
			t.Errorf("the instance has no %s in\n%s", want, env)
		}
	}
	err := broken(t, "tells", agenttest.Patience).Apply(t.Context(), planner.Ticket{}, stopStep(), func(planner.Report) {})
	if err == nil || !strings.Contains(err.Error(), "PATH=") || strings.Contains(err.Error(), "PLEAT_VAR") || strings.Contains(err.Error(), "(sensitive)") {
		t.Errorf("the program sees %v", err)
	}
}

// TestKeptArtifact: what the program has is started again without its file, and
// what it has not is refused before it is asked to.
func TestKeptArtifact(t *testing.T) {
	w := newWorld(t, platform(t))
	a := w.start("1.0.0", 1, providertest.Works)
	b := w.start("2.0.0", 1, providertest.Works)
	w.must(a, &planner.Stop{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: "web", Drain: a.Definition.Drain, Instances: a.Instances, Wait: true,
	})
	for _, path := range []string{a.Artifact.Path, b.Artifact.Path} {
		if err := os.Remove(filepath.Join(w.spec, path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.orchestrator.Ready(t.Context(), "here", a.Artifact); err != nil {
		t.Error(err)
	}
	w.must(a)
	if err := w.orchestrator.Ready(t.Context(), "here", b.Artifact); err == nil {
		t.Error("an artifact that is nowhere is ready")
	}
	if err := w.apply(b); err == nil || !strings.Contains(err.Error(), "opening artifact") {
		t.Errorf("a start of it = %v", err)
	}
}
