package conn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pleat/migrations/conn"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

func TestPreflightAcceptsAPrimary(t *testing.T) {
	if err := conn.Preflight(t.Context(), open(t, pgtest.New(t).Database(t)).Conn); err != nil {
		t.Error(err)
	}
}

func TestPreflightRefusesAReplica(t *testing.T) {
	server := pgtest.Own(t)
	data := pgtest.Value[string](t, pgtest.Connect(t, server.URL("postgres")), "show data_directory")
	server.Halt(t, pgtest.Fast)
	// A server that waits for a primary which does not exist.
	if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	server.Resume(t)
	unfit(t, conn.Preflight(t.Context(), open(t, server.URL("postgres")).Conn), "replica")
}

func TestPreflightRefusesAReadOnlySession(t *testing.T) {
	server := pgtest.New(t)
	database := server.Database(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "alter database "+u.Path[1:]+" set default_transaction_read_only = on")
	c, err := conn.Open(t.Context(), spec.Plain(database), conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context(), c); err != nil {
			t.Error(err)
		}
	}()
	unfit(t, conn.Preflight(t.Context(), c), "read-only")
}

// A pooler in transaction mode tells clients a process id of its own.
func TestPreflightRefusesAPooler(t *testing.T) {
	through := pooler(t, pgtest.New(t).Database(t))
	unfit(t, conn.Preflight(t.Context(), open(t, through).Conn), "pooler")
}

func unfit(t *testing.T, err error, reason string) {
	t.Helper()
	var refusal *conn.UnfitError
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), reason) || refusal.Hint() == "" {
		t.Errorf("err = %v", err)
	}
}

// pooler forwards connections and changes the process id in BackendKeyData.
func pooler(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	u.Host = l.Addr().String()
	var work sync.WaitGroup
	work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { pool(client, server) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		work.Wait()
	})
	return u.String()
}

// pool ends when either side hangs up, which is all that its errors say.
func pool(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			if at := bytes.Index(buffer[:n], []byte{'K', 0, 0, 0, 12}); at >= 0 {
				buffer[at+8] ^= 0x55
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	if _, err := io.Copy(server, client); err != nil {
		client.Close()
	}
	server.Close()
	back.Wait()
}
