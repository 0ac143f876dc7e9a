package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fence says for which holder of a lease a call is made. Of two holders the
// one with the higher number is the rightful one; an agent that has heard of it
// refuses the other one (CodeFenced).
type Fence struct {
	Lease  string
	Number int64
	// Call orders the calls of one holder, 0 where it does not say: an agent
	// refuses one that does not come after those that it knows (CodeOvertaken).
	// The client sets it.
	Call int64
}

const (
	// fenceHeader carries a fence as "NUMBER LEASE".
	fenceHeader = "Pleat-Fence"
	// callHeader carries its Call.
	callHeader = "Pleat-Call"
)

type fenceKey struct{}

// WithFence makes every call with the context one of that holder.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// began is when this process did. A holder is one process, so that a clock that is
// set back does not set its calls back.
var began = time.Now()

// setFence puts the context's fence on a request, if it has one.
func setFence(r *http.Request) {
	if f, ok := r.Context().Value(fenceKey{}).(Fence); ok {
		r.Header.Set(fenceHeader, strconv.FormatInt(f.Number, 10)+" "+f.Lease)
		r.Header.Set(callHeader, strconv.FormatInt(began.Add(time.Since(began)).UnixNano(), 10))
	}
}

// FenceOf reads a request's fence; false when it has none.
func FenceOf(r *http.Request) (Fence, bool, error) {
	text := r.Header.Get(fenceHeader)
	if text == "" {
		return Fence{}, false, nil
	}
	number, lease, ok := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !ok || lease == "" {
		return Fence{}, false, Errorf(CodeInvalid, "%s: %q: want NUMBER LEASE", fenceHeader, text)
	}
	f := Fence{Lease: lease, Number: n}
	if text := r.Header.Get(callHeader); text != "" {
		if f.Call, err = strconv.ParseInt(text, 10, 64); err != nil {
			return Fence{}, false, Errorf(CodeInvalid, "%s: %q: want a number", callHeader, text)
		}
	}
	return f, true, nil
}

// Announce makes the context's fence known: a former holder can change nothing
// from then on, nor can a call that was made before this one and arrives after it.
func (c *Client) Announce(ctx context.Context) error {
	return c.quick(ctx, http.MethodPut, "/v1/fence", nil, nil)
}
