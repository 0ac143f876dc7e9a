package notice_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pleat/providers/notice"
	"pleat/spec"
)

// ear hears notices, after refusing the first few.
type ear struct {
	mutex   sync.Mutex
	refuses int
	bodies  []string
	tokens  []string
}

func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	b, _ := io.ReadAll(r.Body)
	if e.refuses > 0 {
		e.refuses--
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	e.bodies, e.tokens = append(e.bodies, string(b)), append(e.tokens, r.Header.Get("X-Token"))
}

func listen(t *testing.T, h http.Handler) spec.Text {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return spec.Secret("notify.n.url", s.URL)
}

func redact(text string) string { return strings.ReplaceAll(text, "s3cret", "(sensitive)") }

func closed(teller *notice.Teller, patience time.Duration) string {
	if err := teller.Close(patience, patience); err != nil {
		return err.Error()
	}
	return ""
}

func TestWhoWantsToHearDoesInOrder(t *testing.T) {
	all, few, chat := &ear{}, &ear{refuses: 2}, &ear{}
	teller := notice.New([]*spec.Notify{
		{Name: "all", On: spec.Occasions, URL: listen(t, all), Headers: map[string]spec.Text{"X-Token": spec.Secret("x", "s3cret")}, Timeout: 5 * time.Second},
		{Name: "few", On: []string{"failure"}, URL: listen(t, few), Timeout: 5 * time.Second},
		{Name: "chat", On: []string{"done"}, Slack: true, URL: listen(t, chat), Timeout: 5 * time.Second},
	}, redact)
	for _, occasion := range []string{"start", "failure", "done"} {
		teller.Tell(notice.Notice{Occasion: occasion, Run: "r1", Kind: "apply", Headline: "users 1 → 2", Text: "with s3cret"})
	}
	if said := closed(teller, time.Minute); said != "" {
		t.Error(said)
	}
	var heard []string
	for _, body := range all.bodies {
		var n notice.Notice
		if err := json.Unmarshal([]byte(body), &n); err != nil {
			t.Fatal(err)
		}
		heard = append(heard, n.Occasion+" "+n.Text)
	}
	if diff := cmp.Diff([]string{"start with (sensitive)", "failure with (sensitive)", "done with (sensitive)"}, heard); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
	if all.tokens[0] != "s3cret" {
		t.Errorf("token %q", all.tokens[0])
	}
	if len(few.bodies) != 1 {
		t.Errorf("the third attempt: heard %q", few.bodies)
	}
	if diff := cmp.Diff([]string{`{"text":"*done* apply · users 1 → 2\nwith (sensitive)"}`}, chat.bodies); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func TestWhoCannotBeReachedKeepsNobody(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	heard := &ear{}
	dead := httptest.NewServer(heard)
	dead.Close()
	teller := notice.New([]*spec.Notify{
		{Name: "dead", On: spec.Occasions, URL: spec.Secret("u", dead.URL+"/s3cret"), Timeout: time.Second},
		{Name: "refuses", On: spec.Occasions, URL: listen(t, &ear{refuses: 1000}), Timeout: time.Second},
		{Name: "stuck", On: spec.Occasions, URL: listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck })), Timeout: time.Hour},
		{Name: "well", On: spec.Occasions, URL: listen(t, heard), Timeout: time.Second},
	}, redact)
	began := time.Now()
	for range 150 {
		teller.Tell(notice.Notice{Occasion: "start"})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("telling took %s", took)
	}
	said := closed(teller, 5*time.Second)
	for _, want := range []string{"notify.dead: connection refused", "notify.refuses: 502 Bad Gateway", "notices were not sent: it is too slow", "notify.stuck: it did not hear everything in time"} {
		if !strings.Contains(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	}
	if strings.Contains(said, "s3cret") {
		t.Errorf("said %q", said)
	}
	if len(heard.bodies) < 100 {
		t.Errorf("the one that hears heard %d", len(heard.bodies))
	}
}

// TestWhoMayBeDeadIsWaitedForBriefly: one that refuses, and one that never
// answers, hold a command for a moment only, and what is lost is one line. One
// that has heard notices is waited for, however slow.
func TestWhoMayBeDeadIsWaitedForBriefly(t *testing.T) {
	const brief = 500 * time.Millisecond
	stuck := make(chan struct{})
	defer close(stuck)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	teller := notice.New([]*spec.Notify{
		{Name: "dead", On: spec.Occasions, URL: spec.Secret("u", dead.URL), Timeout: time.Hour},
		{Name: "stuck", On: spec.Occasions, URL: listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck })), Timeout: time.Hour},
	}, redact)
	for range 3 {
		teller.Tell(notice.Notice{Occasion: "start"})
	}
	began := time.Now()
	said := ""
	if err := teller.Close(time.Hour, brief); err != nil {
		said = err.Error()
	}
	if took := time.Since(began); took > 10*brief {
		t.Errorf("whoever waits was held for %s", took)
	}
	if said != "notify.dead: connection refused; notify.stuck: it did not hear everything in time" {
		t.Errorf("said %q", said)
	}

	var told atomic.Int32
	teller = notice.New([]*spec.Notify{{Name: "slow", On: spec.Occasions, URL: listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if told.Add(1) == 2 {
			<-time.After(2 * brief)
		}
	})), Timeout: time.Hour}}, redact)
	teller.Tell(notice.Notice{Occasion: "start"})
	teller.Tell(notice.Notice{Occasion: "done"})
	if err := teller.Close(time.Hour, brief); err != nil {
		t.Error(err)
	}
	if n := told.Load(); n != 2 {
		t.Errorf("heard %d notices", n)
	}
}
