package planner

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// shortDuration prints a duration as an author writes it: "24h", "7d", "3s",
// "1h30m". Above a minute it is rounded to the second.
func shortDuration(d time.Duration) string {
	if d > time.Minute {
		d = d.Round(time.Second)
	}
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// minute is when somebody may come back: the first whole minute that is not before t.
func minute(t time.Time) string {
	return t.UTC().Add(time.Minute - 1).Truncate(time.Minute).Format("2006-01-02 15:04 MST")
}

func sorted(names []string) []string {
	sort.Strings(names)
	return names
}
