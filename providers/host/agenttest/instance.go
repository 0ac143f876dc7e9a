package agenttest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"pleat/providers/host/api"
	"pleat/spec"
)

// Ref names the Nth web instance of the service users.
func Ref(release, instance string) api.Ref {
	return api.Ref{Service: "users", Release: release, Instance: instance}
}

// Definition is what a web instance of the test's program runs as: with an
// HTTP check, listening on its address. The artifact is uploaded.
func (a *Agent) Definition(release string, args ...string) api.Definition {
	a.t.Helper()
	dir := a.t.TempDir()
	artifact := Artifact(a.t, dir, release)
	f, err := os.Open(filepath.Join(dir, artifact.Path))
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	if err := a.PutArtifact(a.t.Context(), artifact.SHA256, f); err != nil {
		a.t.Fatal(err)
	}
	return api.Definition{
		Process: "web", SHA256: artifact.SHA256,
		Command: append([]string{"${ARTIFACT}", "-addr", "${ADDR}"}, args...),
		Checks:  []*spec.Check{Check()}, Drain: Drain(),
	}
}

// Keep asks the agent to keep an instance running.
func (a *Agent) Keep(r api.Ref, d api.Definition) {
	a.t.Helper()
	if err := a.PutInstance(a.t.Context(), r, api.Put{Definition: d, Key: "r1/s1"}); err != nil {
		a.t.Fatal(err)
	}
}

// Crash makes an instance end itself with that status.
func Crash(i api.Instance, status int) {
	resp, err := http.Get(fmt.Sprintf("http://%s/exit?status=%d", i.Address, status))
	if err == nil {
		resp.Body.Close()
	}
}
