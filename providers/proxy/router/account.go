package router

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	requestID  = "X-Request-Id"
	longestID  = 128
	nobody     = "-" // in place of who answered, where nobody did
	accessTime = "02/Jan/2006:15:04:05 -0700"
)

// account is what is told of requests: metrics for whoever asks, and a line for
// each where somebody wants them.
type account struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	limited  *prometheus.CounterVec

	mu  sync.Mutex
	log io.Writer // nil: no access log
}

func newAccount() *account {
	who := []string{"listen", "service", "release"}
	a := &account{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pleat_http_requests_total", Help: "Requests that were answered, by who answered and with which status; service is empty where nobody could.",
		}, append(who, "code")),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pleat_http_request_duration_seconds", Help: "From the whole head of a request to the end of its answer.", Buckets: prometheus.DefBuckets,
		}, who),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pleat_http_requests_in_flight", Help: "Requests that an instance has and has not answered to the end.",
		}, who),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pleat_http_requests_limited_total", Help: "Requests that were refused or cut for being more than a limit of the router, by which one.",
		}, []string{"listen", "limit"}),
	}
	a.registry.MustRegister(a.requests, a.latency, a.inFlight, a.limited, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return a
}

// Metrics gives what the router counts, as Prometheus reads it.
func (r *Router) Metrics() http.Handler {
	return promhttp.HandlerFor(r.account.registry, promhttp.HandlerOpts{})
}

// LogAccess has each request written to w once it is answered: a line of the
// combined log format, and behind it service, release, instance, milliseconds and
// request id. It is called before Run.
func (r *Router) LogAccess(w io.Writer) { r.account.log = w }

// taken is who has a request, for the account.
type taken struct {
	by   *backend
	done func() // counts it out
}

type takenKey struct{}

// taken notes that a backend has the request now.
func (a *account) taken(ctx context.Context, listen string, by *backend) {
	t, ok := ctx.Value(takenKey{}).(*taken)
	if !ok {
		return
	}
	if t.done != nil {
		t.done()
	}
	gauge := a.inFlight.WithLabelValues(listen, by.spec.Service, by.spec.Release)
	gauge.Inc()
	t.by, t.done = by, gauge.Dec
}

// of counts requests, gives each a name, and says how they were answered.
func (a *account) of(listen string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		began := time.Now()
		id := req.Header.Get(requestID)
		if !sane(id) {
			id = rand.Text()
			req.Header.Set(requestID, id)
		}
		t := &taken{}
		answer := &answer{ResponseWriter: w, id: id}
		defer func() { // also where the proxy gives an answer up by a panic
			if t.done != nil {
				t.done()
			}
			a.tell(listen, req, t.by, answer, began)
		}()
		next.ServeHTTP(answer, req.WithContext(context.WithValue(req.Context(), takenKey{}, t)))
	})
}

// sane tells whether a name that a client gave can be passed on and logged.
func sane(id string) bool {
	if id == "" || len(id) > longestID {
		return false
	}
	for _, c := range id {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("-_.:/+=", c) {
			return false
		}
	}
	return true
}

func (a *account) tell(listen string, req *http.Request, by *backend, w *answer, began time.Time) {
	took := time.Since(began)
	service, release, instance := "", "", nobody
	if by != nil {
		service, release, instance = by.spec.Service, by.spec.Release, by.spec.Instance
	}
	a.requests.WithLabelValues(listen, service, release, strconv.Itoa(w.code())).Inc()
	a.latency.WithLabelValues(listen, service, release).Observe(took.Seconds())
	if a.log == nil {
		return
	}
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		host = req.RemoteAddr
	}
	line := fmt.Sprintf("%s - - [%s] %s %d %d %s %s %s %s %s %.3f %s\n",
		host, began.Format(accessTime), strconv.QuoteToASCII(req.Method+" "+req.URL.RequestURI()+" "+req.Proto), w.code(), w.bytes,
		strconv.QuoteToASCII(or(req.Referer(), nobody)), strconv.QuoteToASCII(or(req.UserAgent(), nobody)),
		or(service, nobody), or(release, nobody), instance, float64(took.Microseconds())/1000, w.id)
	a.mu.Lock()
	defer a.mu.Unlock()
	// Requests go on where the log cannot be written.
	_, _ = io.WriteString(a.log, line)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// answer counts what a client gets. Flushing and taking the connection over go to
// the writer inside of it, by way of http.ResponseController.
type answer struct {
	http.ResponseWriter
	id     string
	status int
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status. The name of the request is the client's own or
// this router's, whatever a backend says.
func (w *answer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.Header().Set(requestID, w.id)
	w.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (w *answer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// code is the status; one that was never written went as 200.
func (w *answer) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
