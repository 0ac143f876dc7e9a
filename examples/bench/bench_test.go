package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The bench goes with the program: on a small table, without peers, each part
// whose length is its table's gives its figures, and no write fails. Without
// PLEAT_TEST_LONG three parts stand for all.
func TestBenchMeasures(t *testing.T) {
	pleat := filepath.Join(t.TempDir(), "pleat")
	if out, err := exec.Command("go", "build", "-o", pleat, "pleat/cmd/pleat").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	only, names := "noop|errors|unhide", []string{"noop_apply_ms", "client_errors", "unhide_ms"}
	lines := []string{"figure client_errors 0 "}
	if os.Getenv("PLEAT_TEST_LONG") != "" {
		only += "|backfill|operation|reader"
		names = append(names, "backfill_vs_bare", "writer_p99_vs_undisturbed", "split_name_pleat_s", "create_index_bare_s",
			"held_reader_worst_stall_ms", "worst_stall_over_budget_ms")
		lines = append(lines, "figure backfill_pleat_wrong 0 ", "figure backfill_pleat_errors 0 ")
	}
	var out, talk strings.Builder
	err := run(t.Context(), []string{
		"-pleat", pleat, "-rows", "2000", "-rounds", "1", "-runs", "1", "-alone", "300ms", "-hold", "300ms",
		"-only", only,
	}, &out, &talk)
	if err != nil {
		t.Fatalf("%v\n%s", err, talk.String())
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^figure ` + name + ` -?[0-9.]+ \S`).MatchString(out.String()) {
			t.Errorf("no figure %s in:\n%s", name, out.String())
		}
	}
	for _, line := range lines {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in:\n%s%s", line, out.String(), talk.String())
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 3, 1, 2}, 2}} {
		was := slices.Clone(c.of)
		if got := median(c.of); got != c.want || !slices.Equal(c.of, was) {
			t.Errorf("median(%v) = %v, want %v, and the order kept", was, got, c.want)
		}
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 3: "3", 0.123: "0.12", 12.34: "12.3", 123.4: "123", -0.5: "-0.50"} {
		if got := digits(v); got != want {
			t.Errorf("digits(%v) = %s, want %s", v, got, want)
		}
	}
}

func TestLoadTellsErrorsAndStalls(t *testing.T) {
	var l load
	l.stop = func() {}
	l.note(2*time.Millisecond, nil)
	l.note(time.Second, exec.ErrNotFound)
	if s := l.end(); s.worst != time.Second || s.writes != 2 || s.errors != 1 || len(s.texts) != 1 {
		t.Errorf("%+v", s)
	}
}
