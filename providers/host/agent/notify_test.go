package agent_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pleat/providers/host/agent"
)

// The init system is told whom to look after, and nobody where there is none.
func TestInitSystemIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := agent.Notify(); err != nil {
		t.Errorf("without an init system: %v", err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := agent.Notify(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if err := l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := l.ReadFrom(b)
	if want := fmt.Sprintf("MAINPID=%d\nREADY=1", os.Getpid()); err != nil || string(b[:n]) != want {
		t.Errorf("told %q, %v, want %q", b[:n], err, want)
	}
}
