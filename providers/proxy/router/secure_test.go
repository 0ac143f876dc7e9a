package router_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// secured is a world whose route takes TLS only, and who trusts it.
func secured(t *testing.T) (w *world, files *api.TLS, pool *x509.CertPool) {
	t.Helper()
	cert, key := agenttest.Certificate(t)
	files = &api.TLS{Certificate: cert, Key: key}
	w = newWorld(t)
	if err := w.Secure(w.listen, files); err != nil {
		t.Fatal(err)
	}
	return w, files, trust(t, cert)
}

func trust(t *testing.T, cert string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

func certificateOf(t *testing.T, address string) string {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // who it is, is what is asked
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return string(c.ConnectionState().PeerCertificates[0].Raw)
}

// TestACertificateIsReadAgainWhenItChanges: without a word, and one that is half
// written changes nothing. What is not secured is not answered.
func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	w, files, pool := secured(t)
	w.serve(1, name(1))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + w.listen + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("it speaks %s", resp.Proto)
	}
	if status, body := w.do(http.MethodGet, "/", ""); status == http.StatusOK {
		t.Errorf("without TLS: %d %s", status, body)
	}
	before := certificateOf(t, w.listen)
	if err := os.WriteFile(files.Certificate, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := certificateOf(t, w.listen); got != before {
		t.Error("half a certificate was taken")
	}
	cert, key := agenttest.Certificate(t)
	for from, to := range map[string]string{key: files.Key, cert: files.Certificate} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	agenttest.Until(t, "the new certificate", func() error {
		if certificateOf(t, w.listen) == before {
			return errors.New("it is the old one")
		}
		return nil
	})
	var refused *api.Error
	if err := w.Secure(w.listen, nil); !errors.As(err, &refused) || refused.Code != api.CodeConflict {
		t.Errorf("the open route without TLS: %v", err)
	}
	if err := w.Secure(w.listen, files); err != nil {
		t.Errorf("the same again: %v", err)
	}
	w.stop()
	w.run() // the next router finds it
	if certificateOf(t, w.listen) == before {
		t.Error("after a restart it has the old certificate")
	}
}

// TestGRPCGoesThrough: to a server that speaks HTTP/2 only, with and without TLS
// before the router, streams included.
func TestGRPCGoesThrough(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, healthy := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, healthy)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-served })

	plain := newWorld(t)
	withTLS, _, pool := secured(t)
	for _, test := range []struct {
		w     *world
		trust credentials.TransportCredentials
	}{{plain, insecure.NewCredentials()}, {withTLS, credentials.NewClientTLSFromCert(pool, "127.0.0.1")}} {
		test.w.Health(ref(1), true)
		test.w.attach(api.Backend{Ref: ref(1), Host: "a", Address: listener.Addr().String(), HTTP2: true})
		conn, err := grpc.NewClient("passthrough:///"+test.w.listen, grpc.WithTransportCredentials(test.trust))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		client := grpc_health_v1.NewHealthClient(conn)
		healthy.SetServingStatus("it", grpc_health_v1.HealthCheckResponse_SERVING)
		answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "it"})
		if err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("a call: %v, %v", answer, err)
		}
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "none"}); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an error in a trailer: %v", err)
		}
		stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "it"})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING} {
			healthy.SetServingStatus("it", want)
			for {
				got, err := stream.Recv()
				if err != nil {
					t.Fatalf("waiting for %s in a stream: %v", want, err)
				}
				if got.Status == want {
					break
				}
			}
		}
	}
}
