package supervisor

import (
	"net/url"
	"path/filepath"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
)

// record is what the agent must know of an instance to take it up again: one
// file for each.
type record struct {
	Ref        api.Ref               `json:"ref"`
	Definition api.Definition        `json:"definition"`
	Digest     string                `json:"digest"` // of the definition
	Key        string                `json:"key"`
	State      planner.InstanceState `json:"state"`
	Error      string                `json:"error,omitempty"`
	Port       int                   `json:"port"`
	PID        int                   `json:"pid,omitempty"`
	Began      string                `json:"began,omitempty"` // tells the process from a later one of the same number
	Output     int64                 `json:"output"`          // where this start's output begins
	WasUp      bool                  `json:"was_up,omitempty"`
	UpSince    time.Time             `json:"up_since,omitzero"`
	Restarts   int                   `json:"restarts,omitempty"`
	Ended      string                `json:"ended,omitempty"` // how, the last time that it did by itself
	Stop       *order                `json:"stop,omitempty"`
}

// order is a request to stop.
type order struct {
	api.Stop
	At time.Time `json:"at"`
}

// failed tells that the instance never came up: nobody starts it again unless
// asked.
func (r *record) failed() bool { return r.State == planner.Down && !r.WasUp }

// resting tells that the instance was up, died, and waits to be started again.
func (r *record) resting() bool { return r.State == planner.Pending && r.WasUp }

// key names the request that an event follows from.
func (r *record) key() string {
	if r.Stop != nil {
		return r.Stop.Key
	}
	return r.Key
}

// label is the instance's name made fit for a file name: no two instances
// share one.
func label(r api.Ref) string {
	return url.PathEscape(r.Service) + "," + url.PathEscape(r.Release) + "," + url.PathEscape(r.Instance)
}

func file(dir, ending string, r api.Ref) string { return filepath.Join(dir, label(r)+ending) }

// allowed is every step that an instance's life can take.
var allowed = map[planner.InstanceState][]planner.InstanceState{
	planner.Pending:  {planner.Starting, planner.Stopping, planner.Down},
	planner.Starting: {planner.Up, planner.Stopping, planner.Down},
	planner.Up:       {planner.Starting, planner.Stopping, planner.Down},
	planner.Stopping: {planner.Down},
	planner.Down:     {planner.Pending}, // see settle
}

// shaky tells whether the instance ended by itself and has not been up for long
// enough since.
func (r record) shaky(now time.Time) bool {
	return r.Restarts > 0 && (r.UpSince.IsZero() || now.Sub(r.UpSince) < steady)
}
