package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"sync"

	"pleat/providers/host/api"
	"pleat/providers/host/disk"
)

// fences are the highest that the agent has heard of, by lease. They survive a
// restart.
type fences struct {
	path string

	mu    sync.Mutex
	known map[string]heard
}

// heard is a lease's holder, and the latest of its calls.
type heard struct {
	Number int64 `json:"number"`
	Call   int64 `json:"call"`
}

// UnmarshalJSON also takes a number alone, of agents that did not know of calls.
func (h *heard) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &h.Number) == nil {
		return nil
	}
	type plain heard
	return json.Unmarshal(b, (*plain)(h))
}

func openFences(path string) (*fences, error) {
	f := &fences{path: path, known: map[string]heard{}}
	if err := disk.ReadJSON(path, &f.known); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return f, nil
}

// admit refuses a former holder, and a call that does not come after those that are
// known. What is higher it remembers before it has any effect.
func (f *fences) admit(by api.Fence) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.known[by.Lease]
	switch {
	case by.Number < known.Number:
		return api.Errorf(api.CodeFenced, "the lease has moved on from fence %d to %d: another holder took it, or it was unlocked", by.Number, known.Number)
	case by.Number > known.Number:
	case by.Call == 0:
		return nil
	case by.Call <= known.Call:
		return api.Errorf(api.CodeOvertaken, "a call that was made later arrived before this one, or this one has arrived before")
	}
	raised := maps.Clone(f.known)
	raised[by.Lease] = heard{by.Number, by.Call}
	write := disk.ReplaceJSON // no call outlives a power loss
	if by.Number > known.Number {
		write = disk.WriteJSON
	}
	if err := write(f.path, raised); err != nil {
		return err
	}
	f.known = raised
	return nil
}

// admit is that of the fences, for whoever asks. While a successor takes over,
// nobody is admitted.
func (s *server) admit(r *http.Request, ordered bool) error {
	done, err := s.enter(r)
	if err != nil {
		return err
	}
	defer done()
	by, has, err := api.FenceOf(r)
	if err != nil || !has || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return err
	}
	if !ordered {
		by.Call = 0
	}
	return s.memory().fences.admit(by)
}

// fenced refuses what a former holder asks for. Anybody may look.
func (s *server) fenced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.admit(r, false); err != nil {
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// inTurn carries out one call after the other, each only if it comes after those
// before it. What arrives late has no effect then, however late and in whatever
// order: neither what its caller has given up since, nor what arrives twice.
func (s *server) inTurn(f func(*http.Request) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		// All of it is read before others have to wait for it.
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, largest))
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "reading the request: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.turn.Lock()
		defer s.turn.Unlock()
		if err := s.admit(r, true); err != nil {
			return nil, err
		}
		return f(r)
	}
}

// later is the rest of a call that has had its turn: what it waits for, and its
// answer.
type later func() (any, error)

// announce has been carried out when it is admitted.
func (s *server) announce(*http.Request) (any, error) { return nil, nil }
