package main

import (
	"fmt"
	"net/http"
	"testing"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
)

// Where a release must work: in every phase that it may meet.
var lives = []struct {
	version string
	phase   migrations.Phase
}{
	{"1.0.0", before}, {"1.0.0", expanded},
	{"1.0.1", before}, {"1.0.1", expanded}, {"1.0.1", backfilled},
	{"2.0.0", expanded}, {"2.0.0", backfilled},
	{"2.0.2", backfilled}, {"2.0.2", hidden}, {"2.0.2", contracted},
	{"2.0.4", backfilled}, {"2.0.4", contracted},
}

func TestReleaseWorksInPhase(t *testing.T) {
	for _, life := range lives {
		t.Run(life.version+" "+string(life.phase), func(t *testing.T) {
			url := service(t, life.version, inPhase(t, life.phase))
			r, err := lookup(life.version)
			if err != nil {
				t.Fatal(err)
			}
			keepsNames(t, url)
			if r.v2 == nil {
				hasNoV2(t, url)
				return
			}
			keepsParts(t, url)
		})
	}
}

// keepsNames writes and reads every hard name by the v1 endpoints, and reads
// those that were there before the change.
func keepsNames(t *testing.T, url string) {
	t.Helper()
	for i, name := range hard {
		if was := exchange[user](t, "GET", fmt.Sprintf("%s/user?id=%d", url, i+1), nil); was.Name != name {
			t.Errorf("user %d is called %q, want %q", i+1, was.Name, name)
		}
		made := exchange[user](t, "POST", url+"/user", user{Name: name})
		changed := exchange[user](t, "PATCH", url+"/user", user{ID: made.ID, Name: name + " " + name})
		read := exchange[user](t, "GET", fmt.Sprintf("%s/user?id=%d", url, made.ID), nil)
		last := exchange[[]user](t, "GET", url+"/users?limit=1", nil)[0]
		if made.Name != name || changed.Name != name+" "+name || read != changed || last != changed {
			t.Errorf("%q: made %v, changed %v, read %v, listed %v", name, made, changed, read, last)
		}
	}
}

// keepsParts writes by the v2 endpoints and reads by both.
func keepsParts(t *testing.T, url string) {
	t.Helper()
	tests := []struct{ first, last, name string }{
		{"Mary Ann", "Smith", "Mary Ann Smith"}, {"Prince", "", "Prince"}, {"", "", ""}, {"", "x", " x"}, {"A", " B", "A  B"},
	}
	for _, test := range tests {
		made := exchange[person](t, "POST", url+"/v2/user", person{First: "old", Last: "old"})
		want := person{made.ID, test.first, test.last}
		changed := exchange[person](t, "PATCH", url+"/v2/user", want)
		read := exchange[person](t, "GET", fmt.Sprintf("%s/v2/user?id=%d", url, made.ID), nil)
		byName := exchange[user](t, "GET", fmt.Sprintf("%s/user?id=%d", url, made.ID), nil)
		if changed != want || read != want || byName.Name != test.name {
			t.Errorf("%v: changed %v, read %v, name %q, want %q", want, changed, read, byName.Name, test.name)
		}
		split := exchange[user](t, "PATCH", url+"/user", user{ID: made.ID, Name: "Grace Brewster Hopper"})
		read = exchange[person](t, "GET", fmt.Sprintf("%s/v2/user?id=%d", url, split.ID), nil)
		if read.First != "Grace" || read.Last != "Brewster Hopper" {
			t.Errorf("a name written by v1 is %v in v2", read)
		}
	}
}

func hasNoV2(t *testing.T, url string) {
	t.Helper()
	if status, _ := ask(t, "GET", url+"/v2/user?id=1", ""); status != http.StatusNotFound {
		t.Errorf("/v2/user: status %d, want 404", status)
	}
}

// Without pleat's trigger, 2.0.0 shows what it is known for: after a v2 update
// the name is the old one.
func TestForgetsTheNameOnV2Update(t *testing.T) {
	url := inPhase(t, expanded)
	pgtest.Exec(t, url, "drop trigger "+migrations.TriggerName("split_name")+" on users")
	at := service(t, "2.0.0", url)
	made := exchange[person](t, "POST", at+"/v2/user", person{First: "Ada", Last: "Byron"})
	exchange[person](t, "PATCH", at+"/v2/user", person{made.ID, "Ada", "Lovelace"})
	if got := exchange[user](t, "GET", fmt.Sprintf("%s/user?id=%d", at, made.ID), nil); got.Name != "Ada Byron" {
		t.Errorf("name is %q, want the forgotten %q", got.Name, "Ada Byron")
	}
}

func TestAnswersWhatIsWrongWithARequest(t *testing.T) {
	url := service(t, "2.0.2", inPhase(t, contracted))
	tests := []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/user?id=999999", "", http.StatusNotFound},
		{"GET", "/user?id=x", "", http.StatusBadRequest},
		{"GET", "/user", "", http.StatusBadRequest},
		{"GET", "/users?limit=101", "", http.StatusBadRequest},
		{"GET", "/v2/user", "", http.StatusBadRequest},
		{"POST", "/user", `{"first":"x"}`, http.StatusBadRequest},
		{"POST", "/user", `{"name":"a\u0000b"}`, http.StatusBadRequest},
		{"POST", "/user", `{"name":`, http.StatusBadRequest},
		{"PATCH", "/user", `{"id":999999,"name":"x"}`, http.StatusNotFound},
		{"DELETE", "/user", "", http.StatusMethodNotAllowed},
	}
	for _, test := range tests {
		if status, body := ask(t, test.method, url+test.path, test.body); status != test.want {
			t.Errorf("%s %s %s: status %d (%s), want %d", test.method, test.path, test.body, status, body, test.want)
		}
	}
}
