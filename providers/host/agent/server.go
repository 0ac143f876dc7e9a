package agent

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"pleat/providers/host/api"
	"pleat/providers/host/artifact"
	"pleat/providers/host/eventlog"
	"pleat/providers/proxy/router"
)

const (
	// farewell is how long callers have to get their answer when the agent
	// ends.
	farewell = 2 * time.Second
	// largest is the size of the largest request that is no artifact.
	largest = 4 << 20
)

// server answers the API.
type server struct {
	config    Config
	id, host  string
	token     string // "" = none is asked for
	program   string // digest of the agent's own; "" = not known yet
	log       *slog.Logger
	artifacts *artifact.Store
	router    *router.Router
	door      *entrance
	held      *os.File // the lock of the directory
	current   atomic.Pointer[memory]

	turn sync.Mutex // is held by the one call that is carried out, see inTurn

	gate   sync.RWMutex
	moving bool          // a successor takes over; guarded by gate
	moved  chan struct{} // closed once it has
	heir   *heir         // of it; read it after moved is closed
}

func (s *server) memory() *memory { return s.current.Load() }

// serve answers until ctx ends; calls that wait for something end with it. When
// a successor took over it answers until callers know.
func (s *server) serve(ctx context.Context) error {
	hs := &http.Server{
		Handler:           s.guarded(s.fenced(s.routes())),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ending, cancel := context.WithCancel(ctx)
	var end error
	var closing sync.WaitGroup
	closing.Go(func() {
		select {
		case <-ending.Done():
			end = shutDown(hs, farewell)
		case <-s.moved:
			end = s.fade(ctx, hs)
		}
	})
	err := hs.Serve(s.door)
	if s.gone() {
		err = nil
	}
	cancel()
	closing.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, end)
}

func shutDown(hs *http.Server, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := hs.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return hs.Close()
	}
	return err
}

// guarded asks for the token first.
func (s *server) guarded(next http.Handler) http.Handler {
	if s.token == "" {
		return next
	}
	want := sha256.Sum256([]byte("Bearer " + s.token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			refuse(w, api.Errorf(api.CodeUnauthorized, "agent %s: the token is missing or wrong", s.host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r, f) })
	}
	change := func(pattern string, f func(r *http.Request) (any, error)) { handle(pattern, s.inTurn(f)) }
	handle("GET /v1/state", s.state)
	change("PUT /v1/fence", s.announce)
	handle("GET /v1/artifacts/{sha256}", s.hasArtifact)
	handle("PUT /v1/artifacts/{sha256}", s.putArtifact)
	change("PUT /v1/instances/{service}/{release}/{instance}", s.putInstance)
	change("POST /v1/instances/{service}/{release}/{instance}/stop", s.stopInstance)
	handle("POST /v1/instances/{service}/{release}/{instance}/ask", s.ask)
	handle("GET /v1/instances/{service}/{release}/{instance}/output", s.output)
	change("POST /v1/tasks", s.runTask)
	handle("GET /v1/tasks", s.taskState)
	change("DELETE /v1/tasks", s.endTask)
	handle("GET /v1/events", s.list)
	mux.HandleFunc("GET /v1/events/follow", s.follow)
	mux.Handle("GET /metrics", s.router.Metrics())
	handle("POST /v1/upgrade", s.upgrade)
	mux.HandleFunc("GET /v1/logs", s.logs)
	change("POST /v1/routes/{listen}/attach", s.attach)
	change("POST /v1/routes/{listen}/detach", s.detach)
	change("POST /v1/routes/{listen}/drain", s.drain)
	change("PUT /v1/routes/{listen}/split", s.weigh)
	change("PUT /v1/routes/{listen}/hold", s.hold)
	change("PUT /v1/routes/{listen}/limits", s.limit)
	return mux
}

func answer(w http.ResponseWriter, r *http.Request, f func(*http.Request) (any, error)) {
	out, err := f(r)
	if rest, ok := out.(later); ok && err == nil {
		out, err = rest()
	}
	if err != nil {
		refuse(w, err)
		return
	}
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// What cannot be written finds a caller that is gone.
	_ = json.NewEncoder(w).Encode(out)
}

func refuse(w http.ResponseWriter, err error) {
	e := refusal(err)
	if e.Code == api.CodeMoved {
		w.Header().Set("Connection", "close") // the next one finds the successor
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status())
	// As in answer.
	_ = json.NewEncoder(w).Encode(e)
}

// refusal gives every error the code that callers branch on.
func refusal(err error) *api.Error {
	var known *api.Error
	var floor *api.FloorError
	var digest *artifact.DigestError
	var gone *eventlog.GoneError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &floor):
		return &api.Error{Code: api.CodeFloor, Message: err.Error(), Floor: floor}
	case errors.As(err, &digest):
		return api.Errorf(api.CodeDigest, "%v", err)
	case errors.As(err, &gone):
		return api.Errorf(api.CodeGone, "%v", err)
	case errors.Is(err, artifact.ErrName):
		return api.Errorf(api.CodeInvalid, "%v", err)
	}
	return api.Errorf(api.CodeInternal, "%v", err)
}

func decode[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, largest))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, api.Errorf(api.CodeInvalid, "reading the request: %v", err)
	}
	return v, nil
}

func ref(r *http.Request) api.Ref {
	return api.Ref{Service: r.PathValue("service"), Release: r.PathValue("release"), Instance: r.PathValue("instance")}
}

func number(r *http.Request, name string) (int64, error) {
	n, err := strconv.ParseInt(r.FormValue(name), 10, 64)
	if err != nil || n < 0 {
		return 0, api.Errorf(api.CodeInvalid, "%s %q: want a number", name, r.FormValue(name))
	}
	return n, nil
}

func (s *server) state(*http.Request) (any, error) {
	instances, seq := s.memory().supervisor.Instances()
	return api.State{ID: s.id, Host: s.host, Seq: seq, Program: s.program, Instances: instances, Routes: s.router.Routes()}, nil
}

func (s *server) hasArtifact(r *http.Request) (any, error) {
	has, err := s.artifacts.Has(r.PathValue("sha256"))
	if err == nil && !has {
		err = api.Errorf(api.CodeUnknown, "artifact %s is not in the store", r.PathValue("sha256"))
	}
	return nil, err
}

func (s *server) putArtifact(r *http.Request) (any, error) {
	return nil, s.artifacts.Put(r.PathValue("sha256"), r.Body)
}

func (s *server) putInstance(r *http.Request) (any, error) {
	p, err := decode[api.Put](r)
	if err != nil {
		return nil, err
	}
	return nil, s.memory().supervisor.Put(ref(r), p)
}

func (s *server) stopInstance(r *http.Request) (any, error) {
	o, err := decode[api.Stop](r)
	if err != nil {
		return nil, err
	}
	return nil, s.memory().supervisor.Stop(ref(r), o)
}

func (s *server) ask(r *http.Request) (any, error) {
	a, err := decode[api.Ask](r)
	if err != nil {
		return nil, err
	}
	out, err := s.memory().supervisor.Ask(r.Context(), ref(r), a)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *server) runTask(r *http.Request) (any, error) {
	t, err := decode[api.Task](r)
	if err != nil {
		return nil, err
	}
	return nil, s.memory().supervisor.RunTask(t)
}

func (s *server) taskState(r *http.Request) (any, error) {
	from, err := number(r, "from")
	if err != nil {
		return nil, err
	}
	out, err := s.memory().supervisor.TaskState(r.FormValue("key"), from)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *server) endTask(r *http.Request) (any, error) {
	return nil, s.memory().supervisor.EndTask(r.FormValue("key"))
}

func (s *server) output(r *http.Request) (any, error) {
	lines, err := number(r, "lines")
	if err != nil {
		return nil, err
	}
	out, err := s.memory().supervisor.Output(ref(r), int(min(lines, 10_000)))
	if out == nil {
		out = []string{}
	}
	return out, err
}

func (s *server) attach(r *http.Request) (any, error) {
	a, err := decode[api.Attach](r)
	if err != nil {
		return nil, err
	}
	if err := s.router.Secure(r.PathValue("listen"), a.TLS); err != nil {
		return nil, err
	}
	return nil, s.router.Attach(r.PathValue("listen"), a.Backends)
}

func (s *server) detach(r *http.Request) (any, error) {
	d, err := decode[api.Detach](r)
	if err != nil {
		return nil, err
	}
	return nil, s.router.Detach(r.PathValue("listen"), d.Backends)
}

func (s *server) drain(r *http.Request) (any, error) {
	d, err := decode[api.Drain](r)
	if err != nil {
		return nil, err
	}
	drained, err := s.router.StartDrain(r.PathValue("listen"), d)
	if err != nil {
		return nil, err
	}
	return later(func() (any, error) {
		out, err := drained(r.Context())
		if err != nil {
			return nil, err
		}
		return out, nil
	}), nil
}

func (s *server) weigh(r *http.Request) (any, error) {
	w, err := decode[api.Weigh](r)
	if err != nil {
		return nil, err
	}
	out, err := s.router.Weigh(r.PathValue("listen"), w)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *server) hold(r *http.Request) (any, error) {
	h, err := decode[api.Hold](r)
	if err != nil {
		return nil, err
	}
	return nil, s.router.Hold(r.PathValue("listen"), h.For)
}

func (s *server) limit(r *http.Request) (any, error) {
	l, err := decode[api.Limit](r)
	if err != nil {
		return nil, err
	}
	return nil, s.router.Limit(r.PathValue("listen"), l.Limits)
}
