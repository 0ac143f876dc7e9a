package spec_test

import (
	"testing"
	"time"

	"pleat/spec"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"100ms", 100 * time.Millisecond, true},
		{"0s", 0, true},
		{"5m", 5 * time.Minute, true},
		{"24h", 24 * time.Hour, true},
		{"7d", 7 * 24 * time.Hour, true},
		{"999999999d", 0, false},
		{"1.5s", 0, false},
		{"-1s", 0, false},
		{"1h30m", 0, false},
		{"5 s", 0, false},
		{"5", 0, false},
		{"", 0, false},
		{"5us", 0, false},
	}
	for _, test := range tests {
		got, err := spec.ParseDuration(test.text)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", test.text, got, err, test.want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for _, text := range []string{"0s", "1ms", "100ms", "5s", "90s", "2m", "25h", "7d"} {
		d, err := spec.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := spec.FormatDuration(d); got != text {
			t.Errorf("FormatDuration(%v) = %s, want %s", d, got, text)
		}
	}
}
