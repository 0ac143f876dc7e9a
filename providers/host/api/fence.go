package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// Fence says for which holder of a lease a call is made. Of two holders the
// one with the higher number came later, and an agent that has heard of it
// refuses the other one (CodeFenced).
type Fence struct {
	Lease  string // no two leases have the same
	Number int64
}

// fenceHeader carries a fence as "NUMBER LEASE".
const fenceHeader = "Pleat-Fence"

type fenceKey struct{}

// WithFence makes every call with the context one of that holder.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// setFence puts the context's fence on a request, if it has one.
func setFence(r *http.Request) {
	if f, ok := r.Context().Value(fenceKey{}).(Fence); ok {
		r.Header.Set(fenceHeader, strconv.FormatInt(f.Number, 10)+" "+f.Lease)
	}
}

// FenceOf reads a request's fence; false when it has none.
func FenceOf(r *http.Request) (Fence, bool, error) {
	text := r.Header.Get(fenceHeader)
	if text == "" {
		return Fence{}, false, nil
	}
	number, lease, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || lease == "" {
		return Fence{}, false, Errorf(CodeInvalid, "%s: %q: want NUMBER LEASE", fenceHeader, text)
	}
	return Fence{lease, n}, true, nil
}

// Announce makes the context's fence known: a former holder can change nothing
// at the agent any more. It is durable when it returns.
func (c *Client) Announce(ctx context.Context) error {
	return c.call(ctx, http.MethodPut, "/v1/fence", nil, nil)
}
