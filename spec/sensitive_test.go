package spec_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

const secretive = `
variable "password" {
  type      = string
  sensitive = true
  default   = "` + canary + `"
}
variable "settings" {
  type      = map(string)
  sensitive = true
  default   = { SETTING = "` + canary + `" }
}
locals {
  dsn  = "password=${var.password}"
  list = [var.password, "plain"]
}
database "main" {
  url = "postgres://app:${var.password}@db/app"
}
database "literal" {
  url = join("", [
    "postgres://app:",
    "` + canary + `", "@db/app",
  ])
}
state {
  url = <<-EOT
    postgres://app:` + canary + `@db/state
  EOT
}
orchestrator "host" "local" {
  agents = ["https://10.0.0.1:7000"]
  token  = "` + canary + `"
}
service "users" {
  database = database.main
  release  = "1"
  process "worker" {
    env = var.settings
  }
  process "web" {
    env = {
      PLAIN = "plain"
      DSN   = local.dsn
      LIST  = join(",", local.list)
    }
  }
  release "1" {
    artifact {
      path   = "bin/users"
      sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    }
    env = { KEY = upper(var.password) }
    process "web" {
      env = { OWN = local.list[0] }
    }
  }
}
`

func TestReveal(t *testing.T) {
	s := load(t, secretive)
	tests := []struct{ ref, want string }{
		{"state.url", "postgres://app:" + canary + "@db/state\n"},
		{"database.main.url", "postgres://app:" + canary + "@db/app"},
		{"database.literal.url", "postgres://app:" + canary + "@db/app"},
		{"orchestrator.host.local.token", canary},
		{"service.users.process.web.env.DSN", "password=" + canary},
		{"service.users.process.web.env.LIST", canary + ",plain"},
		{"service.users.process.worker.env.SETTING", canary},
		{`service.users.release["1"].env.KEY`, canary},
		{`service.users.release["1"].process.web.env.OWN`, canary},
	}
	for _, test := range tests {
		if got, ok := s.Reveal(test.ref); !ok || got != test.want {
			t.Errorf("Reveal(%s) = %q, %v, want %q", test.ref, got, ok, test.want)
		}
	}
	for _, ref := range []string{"", "database.other.url", "service.users.process.web.env.PLAIN"} {
		if _, ok := s.Reveal(ref); ok {
			t.Errorf("Reveal(%q) finds something", ref)
		}
	}
	if got := s.Services[0].Processes[0].Env["PLAIN"]; got.Sensitive() || got.String() != "plain" {
		t.Errorf("PLAIN = %v, want plain text", got)
	}
}

// TestSecretsAreNotPrinted prints all that Load returns in every way that a
// program prints.
func TestSecretsAreNotPrinted(t *testing.T) {
	s := load(t, secretive)
	encoded, err := json.Marshal(s.Services[0].Processes)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{string(encoded), fmt.Sprintf("%s", s.Sources)}
	for _, v := range []any{s.State, s.Databases[0], s.Databases[1], s.Orchestrators[0], s.Services[0].Processes[0], s.Services[0].Release} {
		shown = append(shown, fmt.Sprintf("%v %+v", v, v))
	}
	for _, text := range shown {
		if strings.Contains(text, canary) {
			t.Errorf("a secret is printed:\n%s", text)
		}
	}
}

// TestSecretsStayHiddenWhereverItBreaks cuts the spec off after every line, and
// after every byte of lines with a secret, so that each is once the one that
// a message quotes.
func TestSecretsStayHiddenWhereverItBreaks(t *testing.T) {
	dir := t.TempDir()
	for _, i := range cuts(secretive) {
		for _, tail := range []string{"", "\n}\n", " = ${"} {
			write(t, filepath.Join(dir, "a.pleat.hcl"), secretive[:i]+tail)
			s, diags := spec.Load(dir, spec.Options{})
			hidesCanary(t, i, s.Sources, diags)
			formatting, diags := spec.FormatDir(dir)
			hidesCanary(t, i, formatting.Sources, diags)
		}
	}
}

func cuts(text string) []int {
	var offsets []int
	start := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, canary) {
			for i := range line {
				offsets = append(offsets, start+i)
			}
		}
		start += len(line)
		offsets = append(offsets, start)
	}
	return offsets
}

func hidesCanary(t *testing.T, cut int, sources map[string][]byte, diags hcl.Diagnostics) {
	t.Helper()
	encoded, err := json.Marshal(spec.DiagnosticsJSON(sources, diags))
	if err != nil {
		t.Fatal(err)
	}
	if text := render(t, sources, diags); strings.Contains(text+string(encoded), canary) {
		t.Fatalf("cut after byte %d, a secret is shown:\n%s", cut, text)
	}
}
