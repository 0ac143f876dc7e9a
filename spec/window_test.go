package spec_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"pleat/spec"
)

// zoned are zones with clocks that are set by an hour and by half of one, at
// midnight, in the south, over the date line, by rules of a religion, and never.
var zoned = []string{
	"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Tehran",
	"America/Sao_Paulo", "Africa/Monrovia", "Pacific/Chatham", "America/Havana", "Asia/Kathmandu", "Antarctica/Troll",
}

func clockOf(t testing.TB, text string) spec.Clock {
	c, err := spec.ParseClock(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func allow(t testing.TB, days, from, to string) spec.Allow {
	return spec.Allow{Days: strings.Fields(days), From: clockOf(t, from), To: clockOf(t, to)}
}

func deny(t testing.TB, from, to, reason string) spec.Deny {
	begin, err := spec.ParseWall(from)
	if err != nil {
		t.Fatal(err)
	}
	end, err := spec.ParseWallEnd(to)
	if err != nil {
		t.Fatal(err)
	}
	return spec.Deny{From: begin, To: end, Reason: reason}
}

// opened is whether a window is open, found without any arithmetic: what the clock
// shows is compared as text.
func opened(w *spec.Window, zone *time.Location, at time.Time) bool {
	local := at.In(zone)
	clock, today := local.Format("15:04"), strings.ToLower(local.Format("Mon"))
	yesterday := spec.Days[(slices.Index(spec.Days, today)+6)%7]
	for _, d := range w.Denies {
		from, _ := d.From.MarshalText()
		to, _ := d.To.MarshalText()
		if now := local.Format("2006-01-02 15:04"); string(from) <= now && now < string(to) {
			return false
		}
	}
	for _, a := range w.Allows {
		from, to := a.From.String(), a.To.String()
		switch {
		case from < to && slices.Contains(a.Days, today) && from <= clock && clock < to,
			from > to && slices.Contains(a.Days, today) && from <= clock,
			from > to && slices.Contains(a.Days, yesterday) && clock < to:
			return true
		}
	}
	return len(w.Allows) == 0
}

// drawWindow is a window and an instant, often one near a turn of the clock.
func drawWindow(t *rapid.T, tb testing.TB) (*spec.Window, *time.Location, time.Time) {
	w := &spec.Window{Name: "w", Zone: rapid.SampledFrom(zoned).Draw(t, "zone")}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		tb.Fatal(err)
	}
	at := time.Unix(rapid.Int64Range(0, 2_500_000_000).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
	if _, set := at.In(zone).ZoneBounds(); !set.IsZero() && rapid.Bool().Draw(t, "near") {
		at = set.Add(time.Duration(rapid.Int64Range(-30*3600, 30*3600).Draw(t, "off")) * time.Second)
	}
	minute := rapid.IntRange(0, 24*60-1)
	for range rapid.IntRange(0, 3).Draw(t, "allows") {
		a := spec.Allow{From: spec.Clock(minute.Draw(t, "from")), To: spec.Clock(1 + minute.Draw(t, "to"))}
		if a.From == a.To {
			continue
		}
		for _, d := range spec.Days {
			if rapid.Bool().Draw(t, d) {
				a.Days = append(a.Days, d)
			}
		}
		w.Allows = append(w.Allows, a)
	}
	for range rapid.IntRange(0, 2).Draw(t, "denies") {
		from := at.In(zone).Add(time.Duration(rapid.IntRange(-3000, 3000).Draw(t, "begins")) * time.Minute)
		to := from.Add(time.Duration(1+rapid.IntRange(1, 3000).Draw(t, "lasts")) * time.Minute)
		const form = "2006-01-02 15:04"
		if from.Format(form) < to.Format(form) {
			w.Denies = append(w.Denies, deny(tb, from.Format(form), to.Format(form), "r"))
		}
	}
	return w, zone, at
}

// Any window, at any instant, in any zone: it is open when the clock shows so, and
// until the first minute at which it shows otherwise.
func TestAWindowIsOpenWhenTheClockOnTheWallSaysSo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w, zone, at := drawWindow(rt, t)
		open, until, _ := w.Open(at)
		if open != opened(w, zone, at) {
			rt.Fatalf("%s: open %t", at, open)
		}
		last := at.Add(4 * 24 * time.Hour)
		if !until.IsZero() && until.Before(last) {
			last = until
			if opened(w, zone, until) == open || opened(w, zone, until.Add(-1)) != open {
				rt.Fatalf("%s: no turn at %s", at, until)
			}
		}
		for m := at; m.Before(last); m = m.Add(time.Minute) {
			if opened(w, zone, m) != open {
				rt.Fatalf("%s: open %t until %s, and not at %s", at, open, until, m)
			}
		}
	})
}

// The next opening is the first that is long enough.
func TestTheNextOpeningIsTheFirstThatIsLongEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w, zone, at := drawWindow(rt, t)
		at = at.Truncate(time.Minute)
		stays := time.Duration(rapid.IntRange(0, 1500).Draw(rt, "stays")) * time.Minute
		next, ok := w.Next(at, stays)
		if ok && (next.Before(at) || !opened(w, zone, next)) {
			rt.Fatalf("%s: %s is none", at, next)
		}
		// Minute by minute, as long as that is bearable.
		end := at.Add(4 * 24 * time.Hour)
		var since time.Time
		for m := at; m.Before(end); m = m.Add(time.Minute) {
			if !opened(w, zone, m) {
				since = time.Time{}
				continue
			}
			if since.IsZero() {
				since = m
			}
			if m.Add(time.Minute).Sub(since) < stays {
				continue
			}
			// An edge between two minutes, in a zone of odd seconds, is up to one before.
			if !ok || next.After(since) || since.Sub(next) > 2*time.Minute {
				rt.Fatalf("%s: open for %s from %s, not %s (%t)", at, stays, since, next, ok)
			}
			return
		}
		if ok && next.Add(stays).Before(end.Add(-2*time.Minute)) {
			rt.Fatalf("%s: not open for %s from %s", at, stays, next)
		}
	})
}

func TestWhenAWindowOpens(t *testing.T) {
	const mon, everyDay = "mon", "mon tue wed thu fri sat sun"
	nights := []spec.Allow{allow(t, "mon tue wed thu", "22:00", "05:00")}
	freeze := deny(t, "2026-12-22", "2027-01-05", "holiday freeze")
	for _, c := range []struct {
		name   string
		window spec.Window
		at     string
		open   bool
		until  string
		reason string
	}{
		{"the night of Thursday ends on Friday", spec.Window{Zone: "Europe/Berlin", Allows: nights}, "2026-11-27T04:59:59+01:00", true, "2026-11-27T05:00:00+01:00", ""},
		{"Friday has no night", spec.Window{Zone: "Europe/Berlin", Allows: nights}, "2026-11-27T22:00:00+01:00", false, "2026-11-30T22:00:00+01:00", ""},
		{"a minute that is over is closed", spec.Window{Zone: "UTC", Allows: []spec.Allow{allow(t, mon, "09:00", "10:00")}}, "2026-11-30T10:00:00Z", false, "2026-12-07T09:00:00Z", ""},
		{"a freeze ends with its last day", spec.Window{Zone: "Europe/Berlin", Denies: []spec.Deny{freeze}}, "2026-12-31T00:00:00Z", false, "2027-01-06T00:00:00+01:00", "holiday freeze"},
		{"a freeze goes before what is allowed", spec.Window{Zone: "Europe/Berlin", Allows: nights, Denies: []spec.Deny{freeze}}, "2026-12-22T01:00:00+01:00", false, "2027-01-06T00:00:00+01:00", "holiday freeze"},
		{"a leap day", spec.Window{Zone: "UTC", Denies: []spec.Deny{deny(t, "2028-02-29", "2028-02-29", "leap day")}}, "2028-02-29T23:59:59Z", false, "2028-03-01T00:00:00Z", "leap day"},
		{"an hour that never comes", spec.Window{Zone: "Europe/Berlin", Allows: []spec.Allow{allow(t, everyDay, "02:00", "03:00")}}, "2027-03-28T01:59:59+01:00", false, "2027-03-29T02:00:00+02:00", ""},
		{"an hour that begins in it", spec.Window{Zone: "Europe/Berlin", Allows: []spec.Allow{allow(t, everyDay, "02:30", "04:00")}}, "2027-03-28T01:59:59+01:00", false, "2027-03-28T03:00:00+02:00", ""},
		{"an hour that comes twice", spec.Window{Zone: "Europe/Berlin", Allows: []spec.Allow{allow(t, everyDay, "02:00", "03:00")}}, "2026-10-25T02:00:00+02:00", true, "2026-10-25T03:00:00+01:00", ""},
		{"half an hour that comes twice", spec.Window{Zone: "Europe/Berlin", Allows: []spec.Allow{allow(t, everyDay, "02:00", "02:30")}}, "2026-10-25T02:30:00+02:00", false, "2026-10-25T02:00:00+01:00", ""},
		{"a deny that ends in it", spec.Window{Zone: "Europe/Berlin", Denies: []spec.Deny{deny(t, "2026-10-25 01:00", "2026-10-25 02:30", "r")}}, "2026-10-25T02:30:00+02:00", true, "2026-10-25T02:00:00+01:00", ""},
		{"a day that was left out", spec.Window{Zone: "Pacific/Apia", Allows: []spec.Allow{allow(t, "fri", "00:00", "24:00")}}, "2011-12-29T12:00:00-10:00", false, "2012-01-06T00:00:00+14:00", ""},
		{"always", spec.Window{Zone: "UTC", Allows: []spec.Allow{allow(t, everyDay, "00:00", "24:00")}}, "2026-11-27T00:00:00Z", true, "", ""},
		{"for a thousand years", spec.Window{Zone: "Europe/Berlin", Denies: []spec.Deny{deny(t, "2000-01-01", "2999-12-31", "never")}}, "2026-11-27T00:00:00Z", false, "3000-01-01T00:00:00+01:00", "never"},
		{"a zone that is not there", spec.Window{Zone: "Europe/Atlantis"}, "2026-11-27T00:00:00Z", false, "", "unknown time zone Europe/Atlantis"},
	} {
		t.Run(c.name, func(t *testing.T) {
			open, until, reason := c.window.Open(instant(t, c.at))
			if open != c.open || reason != c.reason || c.until == "" != until.IsZero() || c.until != "" && !until.Equal(instant(t, c.until)) {
				t.Errorf("open %t until %s (%s)", open, until.Format(time.RFC3339), reason)
			}
		})
	}
}

func instant(t *testing.T, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// What takes longer than a window is ever open never fits.
func TestNothingFitsThatTakesLongerThanAnyOpening(t *testing.T) {
	w := spec.Window{Zone: "Europe/Berlin", Allows: []spec.Allow{allow(t, "tue", "01:00", "05:00")}}
	at := instant(t, "2026-11-28T12:00:00Z")
	if next, ok := w.Next(at, 4*time.Hour); !ok || w.When(next, at) != "Tue 01:00 Europe/Berlin" {
		t.Errorf("%s, %t", next, ok)
	}
	if next, ok := w.Next(at, 4*time.Hour+1); ok {
		t.Errorf("fits from %s", next)
	}
	if said := w.When(at.Add(6*24*time.Hour), at); said != "Fri 2026-12-04 13:00 Europe/Berlin" {
		t.Error(said)
	}
}

// A plan holds its windows, and reads them back as they are.
func TestAWindowReadsBackAsItIs(t *testing.T) {
	w := spec.Window{Name: "nights", Zone: "Europe/Berlin", Allows: []spec.Allow{allow(t, "mon", "22:00", "24:00")}, Denies: []spec.Deny{deny(t, "2026-12-22", "2027-01-05", "freeze")}}
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"nights","timezone":"Europe/Berlin","allow":[{"days":["mon"],"from":"22:00","to":"24:00"}],"deny":[{"from":"2026-12-22 00:00","to":"2027-01-06 00:00","reason":"freeze"}]}`
	if string(b) != want {
		t.Errorf("%s", b)
	}
	var back spec.Window
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, back, cmpopts.EquateComparable(spec.Wall{})); diff != "" {
		t.Error(diff)
	}
	if fmt.Sprint(w.For(spec.SchemaSteps).Denies) != fmt.Sprint(w.Denies) {
		t.Error("a deny for all is not for schema steps")
	}
}
