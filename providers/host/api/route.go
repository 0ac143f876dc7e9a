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
}

// Weigh spreads a route's requests over releases, as a whole. It is refused
// (CodeFloor), and nothing is changed, when fewer than Floor healthy backends
// would get requests.
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
	Checks   []*spec.Check `json:"checks,omitempty"` // asked by the router where another agent keeps the instance
	Draining bool          `json:"draining,omitempty"`
	Serving  bool          `json:"serving,omitempty"` // only in answers: healthy and not draining
	InFlight int64         `json:"in_flight,omitempty"`
}

// Attach adds backends to a route, and takes back their draining.
type Attach struct {
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
