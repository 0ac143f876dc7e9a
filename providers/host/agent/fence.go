package agent

import (
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"sync"

	"pleat/providers/host/api"
	"pleat/providers/host/disk"
)

// fences are the highest numbers that the agent has heard of, by lease. They
// survive a restart.
type fences struct {
	path string

	mu    sync.Mutex
	known map[string]int64
}

func openFences(path string) (*fences, error) {
	f := &fences{path: path, known: map[string]int64{}}
	if err := disk.ReadJSON(path, &f.known); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return f, nil
}

// admit refuses a former holder, and remembers a new one before it has any
// effect.
func (f *fences) admit(by api.Fence) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.known[by.Lease]
	if by.Number == known {
		return nil
	}
	if by.Number < known {
		return api.Errorf(api.CodeFenced, "the lease has moved on from fence %d to %d: another holder took it, or it was unlocked", by.Number, known)
	}
	raised := maps.Clone(f.known)
	raised[by.Lease] = by.Number
	if err := disk.WriteJSON(f.path, raised); err != nil {
		return err
	}
	f.known = raised
	return nil
}

// fenced refuses what a former holder asks for. Anybody may look.
func (s *server) fenced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, err := s.enter(r)
		if err != nil {
			w.Header().Set("Connection", "close")
			refuse(w, err)
			return
		}
		by, has, err := api.FenceOf(r)
		if err == nil && has && r.Method != http.MethodGet && r.Method != http.MethodHead {
			err = s.memory().fences.admit(by)
		}
		done()
		if err != nil {
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// announce has been carried out when it is admitted.
func (s *server) announce(*http.Request) (any, error) { return nil, nil }
