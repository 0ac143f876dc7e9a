package check_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"pleat/providers/host/check"
	"pleat/spec"
)

// TestGRPC asks a real server: of itself, of a service that serves, of one that
// does not, of one that it does not know; and where nobody listens.
func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, healthy := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, healthy)
	healthy.SetServingStatus("orders", grpc_health_v1.HealthCheckResponse_SERVING)
	healthy.SetServingStatus("ledger", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	port := listener.Addr().(*net.TCPAddr).Port
	ask := func(service string) string {
		c := &spec.Check{Kind: spec.CheckGRPC, Service: service, Timeout: 5 * time.Second}
		if err := check.Once(t.Context(), check.Target{Host: "127.0.0.1", Port: port}, c); err != nil {
			return err.Error()
		}
		return ""
	}
	for service, want := range map[string]string{"": "", "orders": "", "ledger": "it says NOT_SERVING", "nowhere": "NotFound: unknown service"} {
		if got := ask(service); got != want {
			t.Errorf("%q: %q, want %q", service, got, want)
		}
	}
	server.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := ask(""); !strings.HasPrefix(got, "nobody answers: ") {
		t.Errorf("without a server: %q", got)
	}
}
