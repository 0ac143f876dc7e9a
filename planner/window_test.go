package planner_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"pleat/planner"
	"pleat/spec"
)

// planned is a golden file's plan at another instant.
func planned(t *testing.T, file, now string, edit ...string) (*planner.Plan, planner.Goal) {
	t.Helper()
	b, err := os.ReadFile("../testdata/plan/" + file + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	sp, st, goal := world(t, txtar.Parse([]byte(strings.NewReplacer(edit...).Replace(string(b)))))
	st.Now = instant(t, now)
	plan, diags := planner.Make(sp, st, goal)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return plan, goal
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A plan that is made while a window is closed is the plan that is made while it is
// open, and is carried out as that when it is open by then.
func TestAPlanIsTheSameWhileItsWindowIsClosed(t *testing.T) {
	const file, friday, monday = "window_of_a_part", "2026-11-20T12:00:00Z", "2026-11-23T23:00:00Z"
	closed, goal := planned(t, file, friday)
	open, _ := planned(t, file, monday)
	if closed.Fingerprint != open.Fingerprint {
		t.Errorf("fingerprints %s and %s", closed.Fingerprint, open.Fingerprint)
	}
	if closed.Deferred() != 4 || open.Deferred() != 1 {
		t.Errorf("deferred: %d while it is closed, %d while it is open", closed.Deferred(), open.Deferred())
	}
	for _, c := range []struct {
		name     string
		plan     *planner.Plan
		now      string
		goal     planner.Goal
		deferred int
	}{
		{"open by then", closed, monday, goal, 1},
		{"closed by then", open, friday, goal, 4},
		{"still closed", closed, friday, goal, 4},
		{"overridden", closed, friday, planner.Goal{Overrides: []planner.Override{{Window: "nights", Reason: "now", By: "me"}}}, 1},
		{"another one overridden", closed, friday, planner.Goal{Overrides: []planner.Override{{Window: "office", Reason: "now", By: "me"}}}, 4},
		{"about to open", closed, "2026-11-23T20:59:30Z", goal, 1},
		{"about to open, and nothing is waited for", closed, "2026-11-23T20:59:30Z", planner.Goal{MaxWait: planner.NoWait}, 4},
	} {
		then := c.plan.At(instant(t, c.now), c.goal)
		if then.Deferred() != c.deferred || then.Fingerprint != closed.Fingerprint || len(then.Overrides) != len(c.goal.Overrides) {
			t.Errorf("%s: %d deferred, fingerprint %s, overrides %v", c.name, then.Deferred(), then.Fingerprint, then.Overrides)
		}
	}
	if closed.Deferred() != 4 {
		t.Error("the plan was changed")
	}
}

// What is put off for another reason stays so, whatever the windows do.
func TestAnOpenWindowEndsNoSoak(t *testing.T) {
	plan, goal := planned(t, "window_of_a_part", "2026-11-20T12:00:00Z", `soak   = "5s"`, `soak   = "5d"`, `soak = "5s"`, `soak = "5d"`)
	then := plan.At(instant(t, "2026-11-23T23:00:00Z"), goal)
	last := then.Steps[len(then.Steps)-1]
	if last.Kind != planner.KindContract || !strings.Contains(last.Deferred, "soak 5d") {
		t.Errorf("%s %s is put off for %q", last.Kind, last.Title, last.Deferred)
	}
}

// A rollout is not begun to be left half way, unless it is longer than any opening:
// then it goes from one to the next.
func TestARolloutThatFitsInNoOpeningGoesStepByStep(t *testing.T) {
	const file = "window_too_short_for_a_canary"
	early, _ := planned(t, file, "2026-11-20T11:50:00Z")
	if early.Deferred() != 2 {
		t.Errorf("%d deferred half an hour before it closes", early.Deferred())
	}
	long, _ := planned(t, file, "2026-11-20T12:00:00Z", `"10m"`, `"100h"`)
	if long.Deferred() != 2 {
		t.Errorf("%d deferred of what is longer than any opening", long.Deferred())
	}
}

// An index of a large table is not begun where there is no time for it.
func TestAStepThatDoesNotFitWaitsForTheNextOpening(t *testing.T) {
	w := &spec.Window{Name: "nights", Zone: "Europe/Berlin", Allows: []spec.Allow{{Days: []string{"mon", "tue"}, From: 60, To: 300}}}
	at := instant(t, "2026-11-30T01:30:00Z") // half an hour before half of it is over
	for _, c := range []struct {
		takes  time.Duration
		met    bool
		reason string
	}{
		{0, true, ""},
		{100 * time.Minute, true, ""},
		{101 * time.Minute, false, "it takes 1h41m or so, and window nights closes Mon 05:00 Europe/Berlin: it opens Tue 01:00 Europe/Berlin"},
		{3 * time.Hour, false, "it takes 3h or so, and window nights never opens for that long"},
	} {
		a := (&planner.Within{Window: w, Takes: c.takes}).Answer(at)
		if a.Met != c.met || a.Reason != c.reason || a.Closed == c.met {
			t.Errorf("%s: %+v", c.takes, a)
		}
	}
}

// Where the zone cannot be told it is closed.
func TestAWindowOfNoZoneIsClosed(t *testing.T) {
	g := &planner.Within{Window: &spec.Window{Name: "nights", Zone: "Europe/Atlantis"}}
	if a := g.Answer(instant(t, "2026-11-30T01:30:00Z")); a.Met || a.Reason != "window nights does not open any more (unknown time zone Europe/Atlantis)" {
		t.Errorf("%+v", a)
	}
}

// How many instances there are is no rollout, and waits for none.
func TestNoWindowKeepsAServiceFromBeingScaled(t *testing.T) {
	plan, _ := planned(t, "scaling_asked_for", "2026-12-24T12:00:00Z", "service \"users\" {\n", `window "office" {
  timezone = "UTC"
  deny {
    from   = "2026-12-22"
    to     = "2027-01-05"
    reason = "freeze"
  }
}

service "users" {
  window = window.office
`)
	if plan.Now() == 0 || plan.Deferred() > 0 {
		t.Errorf("%d steps now, %d deferred", plan.Now(), plan.Deferred())
	}
}

// shutWindow is a window that is closed when the golden files are planned.
const shutWindow = `window "shut" {
  timezone = "UTC"
  deny {
    from   = "2026-11-01"
    to     = "2026-11-30"
    reason = "freeze"
  }
}

`

// A directory, and a block of an author's own SQL, keep to the window that they name.
func TestDirectoriesAndSQLKeepToTheirWindows(t *testing.T) {
	for _, c := range []struct {
		file, now, old, text string
		deferred             string
	}{
		{"M-01_hops", "2026-11-21T12:00:00Z", "migrations \"core\" {\n", shutWindow + "migrations \"core\" {\n  window = window.shut\n", "core to 1681826233 last_interval"},
		{"sql_without_undo", "2026-11-20T12:00:00Z", "      up = \"create extension fuzzystrmatch\"\n    }\n  }\n", "      up     = \"create extension fuzzystrmatch\"\n      window = window.shut\n    }\n  }\n", "sql fuzzy"},
	} {
		edit := []string{c.old, c.text}
		if !strings.Contains(c.text, shutWindow) {
			edit = append(edit, "database \"main\" {\n", shutWindow+"database \"main\" {\n")
		}
		plan, _ := planned(t, c.file, c.now, edit...)
		var first string
		for _, s := range plan.Steps {
			if first == "" && s.Kind != planner.KindCheckpoint && strings.HasPrefix(s.Deferred, "window shut opens ") {
				first = s.Title
			}
		}
		if first != c.deferred || plan.Now() == 0 {
			t.Errorf("%s: %q is the first that waits, %d steps do not", c.file, first, plan.Now())
		}
	}
}
