package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
)

// caller is one keep-alive connection to the service.
type caller struct {
	base string
	http *http.Client
}

// answer is what came back, and who gave it.
type answer struct {
	request           string // what was asked, for people
	status            int
	body              []byte
	release, instance string
}

func newCaller(o Options) *caller {
	return &caller{
		base: strings.TrimSuffix(o.URL, "/"),
		http: &http.Client{
			Timeout:   o.Timeout,
			Transport: &http.Transport{MaxConnsPerHost: 1, DisableCompression: true},
		},
	}
}

func (c *caller) close() { c.http.CloseIdleConnections() }

// call asks once and reads the whole answer, of whatever status. The answer
// names the request even when there is an error.
func (c *caller) call(ctx context.Context, method, path string, body any) (answer, error) {
	a := answer{request: method + " " + path}
	content, err := encode(body)
	if err != nil {
		return a, err
	}
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connections++ },
	})
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(content))
	if err != nil {
		return a, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a.status = response.StatusCode
	a.release, a.instance = response.Header.Get("X-Release"), response.Header.Get("X-Instance")
	if a.body, err = io.ReadAll(response.Body); err != nil {
		return a, err
	}
	// net/http sends some requests again by itself when a kept connection was
	// cut under them; other clients do not.
	if connections > 1 {
		return a, fmt.Errorf("answered only when sent %d times: a kept connection was cut", connections)
	}
	return a, nil
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

// read decodes a good answer; every other answer is an error.
func (a answer) read(into any) error {
	if a.status < 200 || a.status > 299 {
		return fmt.Errorf("status %d: %.200s", a.status, bytes.TrimSpace(a.body))
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("reading %.200q: %w", a.body, err)
	}
	return nil
}
