// Package api is what an agent and its callers say to each other: the values
// on the wire, as JSON over HTTP, and the client that says them. It owns no
// behaviour of either side.
package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"pleat/planner"
	"pleat/spec"
)

// Ref names one instance on a host.
type Ref struct {
	Service  string `json:"service"`
	Release  string `json:"release"`
	Instance string `json:"instance"` // "PROCESS.N"
}

// String is "SERVICE RELEASE INSTANCE".
func (r Ref) String() string { return r.Service + " " + r.Release + " " + r.Instance }

// kept is how much Postgres keeps of an application_name.
const kept = 63

// Application is the application_name of the instance's database sessions. One
// that Postgres would cut off is an error: two releases could look the same.
func (r Ref) Application() (string, error) {
	name := r.Service + "@" + r.Release + "/" + r.Instance
	if len(name) > kept {
		return "", Errorf(CodeInvalid, "%s is too long for application_name, of which Postgres keeps %d bytes", name, kept)
	}
	return name, nil
}

// Definition is everything that decides how an instance runs. It holds
// secrets in clear: an agent keeps it in files that only its user can read,
// and never sends it back.
type Definition struct {
	Process string            `json:"process"`
	SHA256  string            `json:"sha256"` // of the artifact
	Command []string          `json:"command"`
	Env     map[string]string `json:"env,omitempty"`
	// DatabaseURLs are by the variable that has one: DATABASE_URL,
	// DATABASE_URL_NAME. They are taken as they are, never expanded.
	DatabaseURLs map[string]string `json:"database_urls,omitempty"`
	Checks       []*spec.Check     `json:"checks,omitempty"`
	HTTP2        bool              `json:"http2,omitempty"` // it speaks HTTP/2 without TLS
	Drain        spec.Drain        `json:"drain"`
	spec.Confinement
}

// Digest is the same for two definitions that run the same way.
func (d Definition) Digest() (string, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encoding the definition: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Put asks an agent to keep an instance running. Key is "RUN/STEP", and is
// written on the instance and on the events that follow from it.
type Put struct {
	Definition Definition `json:"definition"`
	Key        string     `json:"key"`
}

// Stop asks an agent to take an instance down.
type Stop struct {
	Drain spec.Drain `json:"drain"`
	Key   string     `json:"key"`
}

// Ask has an agent ask an instance of its own one question, once.
type Ask struct {
	Check *spec.Check `json:"check"`
}

// Answer is what came of it.
type Answer struct {
	Error  string   `json:"error,omitempty"`  // "": the check passed
	Output []string `json:"output,omitempty"` // the last lines of a program that failed
}

// Instance is an instance as its agent sees it.
type Instance struct {
	Ref
	Process  string                `json:"process"`
	Host     string                `json:"host"`
	SHA256   string                `json:"sha256"`
	State    planner.InstanceState `json:"state"`
	Error    string                `json:"error,omitempty"`
	Address  string                `json:"address"` // host:port that it was told to listen on
	PID      int                   `json:"pid,omitempty"`
	Restarts int                   `json:"restarts,omitempty"`
	Ended    string                `json:"ended,omitempty"` // how, before the last of them
	Shaky    bool                  `json:"shaky,omitempty"` // it has ended by itself of late
	Key      string                `json:"key,omitempty"`
	Checks   []*spec.Check         `json:"checks,omitempty"`
	HTTP2    bool                  `json:"http2,omitempty"`    // it speaks HTTP/2 without TLS
	Handover string                `json:"handover,omitempty"` // "RUN done", as the instance says itself
	Role     string                `json:"role,omitempty"`     // in its cluster, as it says itself
}

// Event is an instance that changed its state. Seq rises by one with each
// event of an agent and survives its restart.
type Event struct {
	Seq int64     `json:"seq"`
	At  time.Time `json:"at"`
	Ref
	Process string                `json:"process"`
	Host    string                `json:"host"`
	State   planner.InstanceState `json:"state"`
	Error   string                `json:"error,omitempty"`
	Key     string                `json:"key,omitempty"`
}

// State is everything that an agent knows, read at once. Seq is the newest
// event that it includes.
type State struct {
	ID        string     `json:"id"` // of the agent's directory, for ever
	Host      string     `json:"host"`
	Seq       int64      `json:"seq"`
	Program   string     `json:"program,omitempty"` // sha256 of the agent's own
	Instances []Instance `json:"instances"`
	Routes    []Route    `json:"routes"`
}
