package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// memory is a service that keeps users as it should; a test changes what it
// does by wrapping it.
type memory struct {
	mu      sync.Mutex
	users   []full
	release atomic.Value // string; 2.x has /v2/user
}

func newMemory(release string) *memory {
	m := &memory{}
	m.release.Store(release)
	return m
}

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	release := m.release.Load().(string)
	w.Header().Set("X-Release", release)
	s := v1
	if r.URL.Path == v2.path {
		if release < "2" {
			http.NotFound(w, r)
			return
		}
		s = v2
	}
	m.serve(w, r, s)
}

func (m *memory) serve(w http.ResponseWriter, r *http.Request, s shape) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Method == http.MethodGet {
		id, err := strconv.Atoi(r.URL.Query().Get("id"))
		if err != nil {
			http.Error(w, "no id", http.StatusBadRequest)
			return
		}
		m.tell(w, s, id)
		return
	}
	var u user
	if err := json.NewDecoder(r.Body).Decode(&u); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if u.ID == 0 {
		m.users = append(m.users, full{})
		u.ID = int64(len(m.users))
	}
	m.users[u.ID-1] = split(u.Name)
	if s.path == v2.path {
		m.users[u.ID-1] = join(u.First, u.Last)
	}
	m.tell(w, s, int(u.ID))
}

func (m *memory) tell(w http.ResponseWriter, s shape, id int) {
	if err := json.NewEncoder(w).Encode(user{int64(id), s.shown(m.users[id-1])}); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// load runs traffic against h for that long.
func load(t *testing.T, h http.Handler, length time.Duration, o Options) Summary {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	o.URL = server.URL
	s, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeepsItsRate(t *testing.T) {
	s := load(t, newMemory("1.0.1"), time.Second, Options{Rate: 200})
	if s.Errors != 0 || s.Requests < 190 || s.Requests > 201 || s.Releases["1.0.1"] != int(s.Requests) {
		t.Errorf("want 200 good requests:\n%s", s.Lines())
	}
}

// A service that stands still for 700 ms is felt by all requests that would
// have been sent meanwhile, not only by the few that were.
func TestStallIsFeltByEveryRequestOfItsTime(t *testing.T) {
	const stall = 700 * time.Millisecond
	m := newMemory("1.0.1")
	var once sync.Once
	var gate sync.RWMutex
	begin := time.Now()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if time.Since(begin) > 200*time.Millisecond {
			once.Do(func() {
				gate.Lock()
				time.AfterFunc(stall, gate.Unlock)
			})
		}
		gate.RLock()
		defer gate.RUnlock()
		m.ServeHTTP(w, r)
	})
	s := load(t, h, time.Second, Options{Rate: 200, Clients: 4})
	if s.Worst < 690 || s.Stall < 690 {
		t.Errorf("a stall of %v is not seen:\n%s", stall, s.Lines())
	}
	// 140 of 200 requests fall into the stall, so half of all wait 200 ms and
	// more; by the time at which they were sent it would be 4 of 200.
	if s.P50 < 100 {
		t.Errorf("the median does not show a stall of 70 %% of the time:\n%s", s.Lines())
	}
}

func TestCountsErrorsAndKeepsTheFirst(t *testing.T) {
	m := newMemory("1.0.1")
	var n atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 50 {
			http.Error(w, "broken", http.StatusBadGateway)
			return
		}
		m.ServeHTTP(w, r)
	})
	s := load(t, h, time.Second, Options{Rate: 100, V1Only: true})
	if int64(s.Errors) != s.Requests-50 || len(s.Problems) != maxProblems {
		t.Errorf("all but 50 are errors:\n%s", s.Lines())
	}
}

// net/http sends a read again when a kept connection is cut; what another
// client would have suffered must be seen all the same.
func TestCutConnectionIsAnErrorEvenWhenTheRequestIsSentAgain(t *testing.T) {
	m := newMemory("1.0.1")
	var n, cut atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%10 == 0 {
			cut.Add(1)
			panic(http.ErrAbortHandler)
		}
		m.ServeHTTP(w, r)
	})
	s := load(t, h, time.Second, Options{Rate: 100, V1Only: true})
	if int64(s.Errors) != cut.Load() || s.Errors < 5 {
		t.Errorf("%d connections were cut:\n%s", cut.Load(), s.Lines())
	}
}

func TestWrongContentIsAnError(t *testing.T) {
	m := newMemory("2.0.2")
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == v1.path {
			fmt.Fprintln(w, `{"id":1,"name":"somebody else"}`)
			return
		}
		m.ServeHTTP(w, r)
	})
	s := load(t, h, time.Second, Options{Rate: 100, V1Only: true})
	if s.Errors == 0 || s.Errors == int(s.Requests) {
		t.Errorf("reads are wrong, writes are right:\n%s", s.Lines())
	}
}

// A client that used /v2/user while old instances still answer would be told
// 404, and rightly so.
func TestUsesV2OnlyOnceEveryAnswerComesFromReleasesThatHaveIt(t *testing.T) {
	m := newMemory("1.0.1")
	begin := time.Now()
	var n atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch gone := time.Since(begin); {
		case gone > time.Second:
			m.release.Store("2.0.2")
		case gone > 300*time.Millisecond:
			m.release.Store([]string{"1.0.1", "2.0.2"}[n.Add(1)%2])
		}
		m.ServeHTTP(w, r)
	})
	s := load(t, h, 3*time.Second, Options{Rate: 100})
	if s.Errors != 0 || s.Paths[v2.path] < 20 {
		t.Errorf("\n%s", s.Lines())
	}
}

func TestRefusesOptionsThatMeanNothing(t *testing.T) {
	for _, o := range []Options{{}, {URL: "users"}, {URL: "http://h", Rate: -1}, {URL: "http://h", Known: 3}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
