package spec_test

import (
	"os"
	"path/filepath"
	"testing"

	"pleat/spec"
)

// TestRouterHasItsCertificateAndLimits, and a process its protocol.
func TestRouterHasItsCertificateAndLimits(t *testing.T) {
	dir := t.TempDir()
	source := `
orchestrator "host" "local" {
  agents = ["unix:///run/agent.sock"]
}
router "proxy" "edge" {
  listen = ":443"
  tls {
    certificate = "/etc/it/cert.pem"
    key         = "/etc/it/key.pem"
  }
  limits {
    max_header_bytes = "16KiB"
    max_body         = "1GiB"
    max_requests     = 2000
  }
}
service "it" {
  router  = router.proxy.edge
  release = "1"
  process "web" {
    protocol = "h2c"
  }
  process "worker" {}
  release "1" {
    artifact {
      path   = "x"
      sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    }
  }
}
`
	if err := os.WriteFile(filepath.Join(dir, "it.pleat.hcl"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	s, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if got, want := *s.Routers[0].TLS, (spec.RouterTLS{Certificate: "/etc/it/cert.pem", Key: "/etc/it/key.pem"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := s.Routers[0].Limits, (spec.RouterLimits{Header: 16 << 10, Body: 1 << 30, Requests: 2000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for i, want := range []spec.Protocol{spec.HTTP2, ""} {
		if got := s.Services[0].Releases[0].Processes[i].Protocol; got != want {
			t.Errorf("process %d speaks %q, want %q", i, got, want)
		}
	}
}
