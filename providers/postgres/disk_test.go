package postgres_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
)

// smallDisk is one of so many MiB.
type smallDisk struct {
	testing.TB
	dir   string
	space string // a directory on it, for a tablespace
}

// newSmallDisk skips where nothing can be mounted.
func newSmallDisk(t *testing.T, mib int) *smallDisk {
	t.Helper()
	d := &smallDisk{TB: t, dir: pgtest.Directory(t, "")}
	if out, err := d.mount(fmt.Sprintf("size=%dm,mode=0777", mib)); err != nil {
		t.Skipf("no small disk can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", d.dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	d.space = pgtest.Directory(t, d.dir)
	return d
}

func (d *smallDisk) mount(options string) (string, error) {
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", d.dir).CombinedOutput()
	return string(out), err
}

func (d *smallDisk) grow(mib int) {
	d.Helper()
	if out, err := d.mount(fmt.Sprintf("remount,size=%dm", mib)); err != nil {
		d.Fatalf("remount: %v: %s", err, out)
	}
}

// T25, P25: the disk fills up in the middle of a back-fill, or of an index build.
// The step says so, what was committed stays, and once there is room the next
// attempt ends: each row filled once, no invalid index.
func TestAStepGoesOnOnceAFullDiskHasRoomAgain(t *testing.T) {
	t.Parallel()
	disk := newSmallDisk(t, 24)
	server := pgtest.Own(t)
	w := worldAt(t, server.URL("postgres"), "")
	w.exec("create tablespace small location '" + disk.space + "'")
	w.exec(`create table users (id bigint primary key, n int not null default 0, w int not null default 0, name text) tablespace small`)
	w.exec(`insert into users (id, name) select i, repeat(md5(i::text), 10) from generate_series(1, 40000) i; analyze users`)

	fills := planner.Step{ID: "fills", Action: counting(500)}
	w.full(w.try(t.Context(), fills))
	if got := w.value("select (sum(n) between 1 and count(*) - 1)::text from users"); got != "true" {
		t.Errorf("some rows are filled, not all: %s", got)
	}
	disk.grow(64)
	if err := w.try(t.Context(), fills); err != nil {
		t.Fatal(err)
	}
	if got := w.value("select concat_ws(' ', count(*), min(n), max(n)) from users"); got != "40000 1 1" {
		t.Errorf("rows, least and most often filled: %s, want 40000 1 1", got)
	}

	used := w.value("select (pg_tablespace_size('small') / (1 << 20) + 2)::text")
	var mib int
	if _, err := fmt.Sscan(used, &mib); err != nil {
		t.Fatal(err)
	}
	disk.grow(mib)
	index := uniqueName()
	index.SQL = strings.Replace(index.SQL, "(name)", "(name, id) TABLESPACE small", 1)
	build := planner.Step{ID: "builds", Action: index}
	w.full(w.try(t.Context(), build))
	disk.grow(96)
	if err := w.try(t.Context(), build); err != nil {
		t.Fatal(err)
	}
	if got := w.value(indexState) + w.value("select count(*)::text from pg_index where not indisvalid"); got != "true0" {
		t.Errorf("the index is valid, invalid ones: %s", got)
	}
}

// full wants an error that says that the disk is.
func (w *world) full(err error) {
	w.Helper()
	var full *postgres.FullError
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "No space left on device") || errors.Is(err, planner.ErrOutcomeUnknown) {
		w.Fatalf("got %v, want a *FullError", err)
	}
}
