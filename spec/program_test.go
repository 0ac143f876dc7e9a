package spec_test

import (
	"slices"
	"testing"
	"time"

	"pleat/spec"
)

// TestProgram: what a program is told may be secret, and is then never shown.
func TestProgram(t *testing.T) {
	dir := directory(t, map[string]string{"a.pleat.hcl": `
variable "token" {
  type      = string
  sensitive = true
}
orchestrator "exec" "here" {
  command  = ["bin/platform", "-v"]
  settings = { token = var.token, url = "https://here" }
}
router "exec" "edge" {
  command  = ["bin/edge"]
  settings = { key = "k-${var.token}" }
  timeout  = "5s"
}
`})
	s := loadDir(t, dir, spec.Options{Vars: map[string]string{"token": "CANARY-1"}})
	here, edge := s.Orchestrators[0].Program, s.Routers[0].Program
	if !slices.Equal(here.Command, []string{"bin/platform", "-v"}) || here.Timeout != 30*time.Second || edge.Timeout != 5*time.Second {
		t.Errorf("the programs are %+v and %+v", here, edge)
	}
	if got := s.Redact("CANARY-1 k-CANARY-1 https://here"); got != "(sensitive) k-(sensitive) https://here" {
		t.Errorf("Redact = %q", got)
	}
	for ref, want := range map[string]string{
		"orchestrator.exec.here.settings.token": "CANARY-1", "router.exec.edge.settings.key": "k-CANARY-1",
	} {
		if got, ok := s.Reveal(ref); got != want || !ok {
			t.Errorf("Reveal(%s) = %q, %t", ref, got, ok)
		}
	}
	if s.Routers[0].Agent != "" {
		t.Errorf("the router has the agent %q", s.Routers[0].Agent)
	}
}
