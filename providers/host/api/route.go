package api

import (
	"time"

	"pleat/planner"
	"pleat/spec"
)

// Route is a place on which an agent accepts requests, and where they go.
type Route struct {
	Listen   string    `json:"listen"`
	Backends []Backend `json:"backends"`
	planner.Split
	TLS    *TLS              `json:"tls,omitempty"`
	Limits spec.RouterLimits `json:"limits,omitzero"`
	Held   bool              `json:"held,omitempty"` // only in answers: new requests wait
}

// Hold keeps new requests of a route waiting for at most For; 0 lets go of them.
type Hold struct {
	For time.Duration `json:"for_ns"`
}

// Limit says what a route takes of requests.
type Limit struct {
	Limits spec.RouterLimits `json:"limits"`
}

// Weigh spreads a route's requests over releases, as a whole. It is refused
// (CodeFloor), and nothing is changed, when fewer healthy backends would get
// requests than now, and fewer than Floor.
type Weigh struct {
	planner.Split
	Floor int `json:"floor"`
}

// Backend is an instance that gets requests of a route.
type Backend struct {
	Ref
	Host     string        `json:"host"`
	Address  string        `json:"address"`
	Weight   int           `json:"weight,omitempty"` // default 1
	HTTP2    bool          `json:"http2,omitempty"`  // it speaks HTTP/2 without TLS
	Checks   []*spec.Check `json:"checks,omitempty"` // asked by the router where another agent keeps the instance
	Draining bool          `json:"draining,omitempty"`
	Serving  bool          `json:"serving,omitempty"` // only in answers: healthy and not draining
	InFlight int64         `json:"in_flight,omitempty"`
}

// TLS is a certificate in PEM files of the agent's host.
type TLS struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// Attach adds backends to a route, and takes back their draining. TLS is how a
// route that is opened is secured; one that is open otherwise is refused
// (CodeConflict).
type Attach struct {
	TLS      *TLS      `json:"tls,omitempty"`
	Backends []Backend `json:"backends"`
}

// Detach takes backends out of a route without waiting for their requests.
type Detach struct {
	Backends []Ref `json:"backends"`
}

// Drain takes backends out of a route. Requests in flight have at most
// Timeout to finish; those that are left are cut.
type Drain struct {
	Backends []Ref         `json:"backends"`
	Timeout  time.Duration `json:"timeout_ns"`
	Floor    int           `json:"floor"`
}

// Drained says how a drain ended.
type Drained struct {
	Cut int64 `json:"cut"` // requests that were still in flight when the time was over
}
