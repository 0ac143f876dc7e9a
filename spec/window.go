package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a machine without zones of its own plans the same

	"github.com/hashicorp/hcl/v2"
)

// Window is times at which steps may run. Whether it is open is a matter of what
// a clock on the wall shows in its zone: an hour that comes twice is in it both
// times, and one that is left out never comes.
type Window struct {
	Name   string    `json:"name"`
	Zone   string    `json:"timezone"`        // as the tz database names it
	Allows []Allow   `json:"allow,omitempty"` // none: at any time that no Deny has
	Denies []Deny    `json:"deny,omitempty"`
	Range  hcl.Range `json:"-"`
}

// Address is "window.NAME".
func (w *Window) Address() Address { return Address("window." + w.Name) }

// Allow is the same hours of some days. Where To is not after From it is of the
// day after: the whole belongs to the day on which it begins.
type Allow struct {
	Days []string `json:"days"` // of Days
	From Clock    `json:"from"`
	To   Clock    `json:"to"` // it is over by then
}

// Deny closes a window from one moment on the wall to another.
type Deny struct {
	From   Wall     `json:"from"`
	To     Wall     `json:"to"` // it is over by then
	Reason string   `json:"reason"`
	Only   StepKind `json:"only,omitempty"` // "": for all steps
}

// StepKind is which steps a Deny is for.
type StepKind string

// The kinds of step that a Deny may be for alone.
const (
	SchemaSteps  StepKind = "schema"   // of changes and migrations
	RolloutSteps StepKind = "rollouts" // of services
)

// Days are the names of the days, by their number in time.
var Days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// For is the window as it is for steps of that kind.
func (w *Window) For(kind StepKind) *Window {
	mine := *w
	mine.Denies = slices.DeleteFunc(slices.Clone(w.Denies), func(d Deny) bool { return d.Only != "" && d.Only != kind })
	return &mine
}

// Open tells whether steps may run at an instant; until when that is so, the zero
// time where it does not change; and the reason of what denies them. Where the
// zone cannot be loaded it is closed.
func (w *Window) Open(at time.Time) (open bool, until time.Time, reason string) {
	c, err := w.calendar(at)
	if err != nil {
		return false, time.Time{}, err.Error()
	}
	open, reason = c.open(at)
	until, _ = c.turn(at)
	return open, until, reason
}

// Next is the first instant, at or after that one, from which on the window stays
// open for as long as that; false where there is none within a year of its last Deny.
func (w *Window) Next(at time.Time, stays time.Duration) (time.Time, bool) {
	c, err := w.calendar(at)
	if err != nil {
		return time.Time{}, false
	}
	for {
		open, _ := c.open(at)
		until, turns := c.turn(at)
		if !turns {
			until = c.end
		}
		if open && (until.Sub(at) >= stays || len(c.Allows) == 0 && !turns) {
			return at, true
		}
		if !turns {
			return time.Time{}, false
		}
		at = until
	}
}

// When names an instant as the clock on the wall shows it: by the day of the week
// where that is clear to who reads it now, else with the date.
func (w *Window) When(at, now time.Time) string {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		zone = time.UTC
	}
	form := "Mon 15:04"
	if at.Sub(now) >= 6*day {
		form = "Mon 2006-01-02 15:04"
	}
	return at.In(zone).Format(form) + " " + zone.String()
}

// calendar is a window with its zone, asked for what comes before end.
type calendar struct {
	*Window
	zone *time.Location
	end  time.Time
}

func (w *Window) calendar(from time.Time) (*calendar, error) {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return nil, err
	}
	last := from
	for _, d := range w.Denies {
		if d.To.t.After(last) {
			last = d.To.t
		}
	}
	return &calendar{w, zone, last.Add(366 * day)}, nil
}

// wall is what the clock shows, as if it were UTC.
func (c *calendar) wall(at time.Time) time.Time {
	_, offset := at.In(c.zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

func (c *calendar) open(at time.Time) (open bool, reason string) {
	wall := c.wall(at)
	for _, d := range c.Denies {
		if d.covers(wall) {
			return false, d.Reason
		}
	}
	return len(c.Allows) == 0 || slices.ContainsFunc(c.Allows, func(a Allow) bool { return a.covers(wall) }), ""
}

// turn is the first instant after that one at which the window opens or closes.
func (c *calendar) turn(at time.Time) (time.Time, bool) {
	was, _ := c.open(at)
	for at.Before(c.end) {
		at = c.step(at)
		if is, _ := c.open(at); is != was {
			return at, true
		}
	}
	return time.Time{}, false
}

// step is the next instant at which the window may open or close: the first on
// the wall at which something of it begins or ends, unless the clock is set
// before. While it is denied nothing of it matters.
func (c *calendar) step(at time.Time) time.Time {
	wall := c.wall(at)
	var next []time.Time
	for _, a := range c.Allows {
		next = append(next, a.edges(wall)...)
	}
	for _, d := range c.Denies {
		if d.covers(wall) {
			next = []time.Time{d.To.t}
			break
		}
		next = append(next, d.From.t)
	}
	to := c.end
	for _, t := range next {
		if t.After(wall) {
			to = earlier(to, at.Add(t.Sub(wall)))
		}
	}
	if _, set := at.In(c.zone).ZoneBounds(); !set.IsZero() {
		if !set.After(at) { // as the library has it of the last day of some leap years
			set = at.Add(day)
		}
		to = earlier(to, set)
	}
	return to
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// covers tells whether the clock shows a moment of it.
func (d Deny) covers(wall time.Time) bool { return !wall.Before(d.From.t) && wall.Before(d.To.t) }

func (a Allow) covers(wall time.Time) bool {
	of := Clock(wall.Hour()*60 + wall.Minute())
	today, yesterday := a.on(wall.Weekday()), a.on((wall.Weekday()+6)%7)
	if a.From < a.To {
		return today && a.From <= of && of < a.To
	}
	return today && a.From <= of || yesterday && of < a.To
}

func (a Allow) on(d time.Weekday) bool { return slices.Contains(a.Days, Days[d]) }

// edges are where it may begin or end on that day and the next.
func (a Allow) edges(wall time.Time) []time.Time {
	midnight := time.Date(wall.Year(), wall.Month(), wall.Day(), 0, 0, 0, 0, time.UTC)
	var out []time.Time
	for _, m := range []time.Time{midnight, midnight.Add(day)} {
		out = append(out, m.Add(a.From.since()), m.Add(a.To.since()))
	}
	return out
}

// Clock is a time of day in minutes from midnight, to 24:00.
type Clock int

// endOfDay is 24:00.
const endOfDay Clock = 24 * 60

// ParseClock reads "HH:MM".
func ParseClock(text string) (Clock, error) {
	if text == endOfDay.String() {
		return endOfDay, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%s is no time of day: HH:MM, from 00:00 to 24:00", quote(text))
	}
	return Clock(t.Hour()*60 + t.Minute()), nil
}

func (c Clock) since() time.Duration { return time.Duration(c) * time.Minute }

// String is "HH:MM".
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// MarshalText writes what ParseClock reads.
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *Clock) UnmarshalText(text []byte) (err error) {
	*c, err = ParseClock(string(text))
	return err
}

// Wall is a moment as a clock on the wall shows it, with the date.
type Wall struct{ t time.Time } // as if it were UTC

// wallForm is how a Wall is written, and dateForm the beginning of it.
const wallForm, dateForm = "2006-01-02 15:04", "2006-01-02"

// ParseWall reads "YYYY-MM-DD HH:MM", or "YYYY-MM-DD" for the begin of that day.
func ParseWall(text string) (Wall, error) {
	form := wallForm
	if len(text) <= len(dateForm) {
		form = dateForm
	}
	t, err := time.Parse(form, text)
	if err != nil && strings.HasSuffix(err.Error(), "day out of range") {
		return Wall{}, fmt.Errorf("%s is in no calendar: that month has no such day", quote(text))
	}
	if err != nil || len(text) != len(form) {
		return Wall{}, fmt.Errorf("%s is neither YYYY-MM-DD nor YYYY-MM-DD HH:MM", quote(text))
	}
	return Wall{t}, nil
}

// ParseWallEnd is ParseWall for an end: a date is meant with the whole of its day.
func ParseWallEnd(text string) (Wall, error) {
	w, err := ParseWall(text)
	if err == nil && len(text) == len(dateForm) {
		w.t = w.t.Add(day)
	}
	return w, err
}

// Compare is negative where w is the earlier.
func (w Wall) Compare(other Wall) int { return cmp.Compare(w.t.Unix(), other.t.Unix()) }

// MarshalText writes what ParseWall reads.
func (w Wall) MarshalText() ([]byte, error) { return []byte(w.t.Format(wallForm)), nil }

// UnmarshalText reads what MarshalText wrote.
func (w *Wall) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWall(string(text))
	return err
}
