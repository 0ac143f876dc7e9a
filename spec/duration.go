package spec

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

var durationForm = Pattern(`^([0-9]{1,9})(ms|s|m|h|d)$`)

var errDuration = errors.New(`a duration is a whole number and a unit, such as "100ms", "5s", "10m", "24h" or "7d"`)

// ParseDuration reads a duration as a spec writes it: a whole number and one
// of ms, s, m, h, d.
func ParseDuration(s string) (time.Duration, error) {
	m := durationForm().FindStringSubmatch(s)
	if m == nil {
		return 0, errDuration
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, errDuration
	}
	unit := durationUnit(m[2])
	if n > int64(1<<63-1)/int64(unit) {
		return 0, errors.New("the duration is longer than 292 years")
	}
	return time.Duration(n) * unit, nil
}

func durationUnit(name string) time.Duration {
	switch name {
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "m":
		return time.Minute
	case "h":
		return time.Hour
	}
	return day
}

// FormatDuration writes a duration as a spec would: in the largest unit that
// gives a whole number. Less than a millisecond is written as Go does.
func FormatDuration(d time.Duration) string {
	for _, unit := range []string{"d", "h", "m", "s", "ms"} {
		if u := durationUnit(unit); d >= u && d%u == 0 {
			return strconv.FormatInt(int64(d/u), 10) + unit
		}
	}
	if d == 0 {
		return "0s"
	}
	return strings.TrimSuffix(d.String(), "0s")
}
