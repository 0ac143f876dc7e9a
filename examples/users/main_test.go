package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// runAs makes the test binary the service itself, as that release.
const runAs = "USERS_RUN_AS"

func TestMain(m *testing.M) {
	if version = cmp.Or(os.Getenv(runAs), version); os.Getenv(runAs) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// service runs a release in this process and gives its URL.
func service(t *testing.T, version, database string) string {
	t.Helper()
	r, err := lookup(version)
	if err != nil {
		t.Fatal(err)
	}
	db, err := open(t.Context(), database, r.leaks)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(labelled(routes(r, db), version, func(string) string { return "" }))
	t.Cleanup(func() {
		s.Close()
		db.close()
	})
	return s.URL
}

// ask sends a request and gives the answer's status and body.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(bytes.TrimSpace(b))
}

// exchange sends a body and decodes a good answer.
func exchange[T any](t *testing.T, method, url string, body any) T {
	t.Helper()
	var got T
	content := []byte{}
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	status, answer := ask(t, method, url, string(content))
	if status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("%s %s %s: status %d: %s", method, url, content, status, answer)
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return got
}
