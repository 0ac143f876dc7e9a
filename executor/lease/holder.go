package lease

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"
)

// Holder is who holds a lease, or wants it. The times are the server's.
type Holder struct {
	ID      string // a nonce; Unlock asks for it
	Run     string
	Host    string
	PID     int
	Process string // tells this process from any other one with that PID; "" = cannot be told
	Who     string
	Step    string // the step in hand; "" = none

	Since time.Time // when it was taken
	Beat  time.Time // the last heartbeat
	Until time.Time // when it may be taken over
	Asked time.Time // the server's clock when this was read

	// Lacks are the columns that its row has not: pleat has never written it so,
	// and nothing is known of whoever did.
	Lacks []string
}

// Self is this process as a holder for a run, with a fresh ID.
func Self(run string) (Holder, error) {
	host, err := os.Hostname()
	if err != nil {
		return Holder{}, fmt.Errorf("asking for the host's name: %w", err)
	}
	who := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	return Holder{
		ID: rand.Text(), Run: run, Host: host, PID: os.Getpid(), Process: process(os.Getpid()),
		Who: cmp.Or(who, fmt.Sprintf("uid %d", os.Getuid())),
	}, nil
}

// Expired tells whether the lease may be taken over. One without an end may not.
func (h *Holder) Expired() bool {
	return h.Until.Before(h.Asked) && !slices.Contains(h.Lacks, "until")
}

// Gone tells whether the holder can do nothing any more: its lease has expired,
// or it is known to have died.
func (h *Holder) Gone() bool { return h.Expired() || h.dead() }

// dead tells whether the holder is known to have died: it was on this host,
// in this boot, where its PID means the same as here, and it is not there.
// Whoever cannot be judged is not dead.
func (h *Holder) dead() bool {
	host, err := os.Hostname()
	if err != nil || len(h.Lacks) > 0 || host != h.Host || h.Process == "" || !sameWorld(h.Process) {
		return false
	}
	return process(h.PID) != h.Process
}

func (h *Holder) String() string {
	if len(h.Lacks) > 0 {
		return fmt.Sprintf("its row in pleat.lease has no %s, so it was not pleat that wrote it", strings.Join(h.Lacks, ", "))
	}
	text := fmt.Sprintf("run %s by %s on %s (pid %d) since %s", h.Run, h.Who, h.Host, h.PID, h.Since.UTC().Format(time.RFC3339))
	if h.Step != "" {
		text += ", at step " + h.Step
	}
	return text + fmt.Sprintf(", last heartbeat %s ago", h.Asked.Sub(h.Beat).Round(time.Second))
}

// ErrLost is the cause of a guarded context that ended because the lease was
// taken by somebody else, was unlocked, or could not be renewed in time.
var ErrLost = errors.New("the lease was lost")

// HeldError is a lease that somebody else holds.
type HeldError struct {
	Name   string
	Holder Holder
}

func (e *HeldError) Error() string {
	if len(e.Holder.Lacks) > 0 {
		return fmt.Sprintf("the lease %q is held by %s: %s", e.Name, e.Holder.ID, &e.Holder)
	}
	return "an apply is already in progress: " + e.Holder.String()
}

// Hint is how to go on.
func (e *HeldError) Hint() string {
	if len(e.Holder.Lacks) > 0 {
		return "make sure that no pleat is at work with this state store, then type: pleat unlock " + e.Holder.ID
	}
	return fmt.Sprintf("wait for it; if it died, the lease ends by itself within %s, or type: pleat unlock %s",
		max(0, e.Holder.Until.Sub(e.Holder.Asked)).Round(time.Second), e.Holder.ID)
}

// UnlockError is an unlock that does not fit who holds the lease.
type UnlockError struct {
	Given  string
	Holder *Holder // nil: nobody does
}

func (e *UnlockError) Error() string {
	if e.Holder == nil {
		return "the lease is not held by anybody"
	}
	return fmt.Sprintf("%q does not hold the lease; it is held by %s: %s", e.Given, e.Holder.ID, e.Holder)
}
