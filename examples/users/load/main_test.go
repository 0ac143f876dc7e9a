package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"pleat/examples/users/load/traffic"
)

func TestExitCodeTellsErrors(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	file := filepath.Join(t.TempDir(), "summary.json")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-url", server.URL, "-for", "300ms", "-json", file}, &stdout, &stderr)
	if code != 1 || stderr.Len() > 0 {
		t.Errorf("exit code %d, want 1: %s", code, &stderr)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s traffic.Summary
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s.Errors == 0 || int64(s.Errors) != s.Requests || s.Lines() != stdout.String() {
		t.Errorf("JSON says %+v, text says\n%s", s, &stdout)
	}
}

func TestRefusesABadAddress(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-url", "users"}, &stdout, &stderr); code != 2 || stderr.Len() == 0 {
		t.Errorf("exit code %d, want 2 and a reason; stderr %q", code, &stderr)
	}
}
