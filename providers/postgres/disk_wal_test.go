package postgres_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
)

// newWALDisk is a small disk that has the server's WAL, and nothing else.
func newWALDisk(t *testing.T, mib int, server *pgtest.Server) *smallDisk {
	t.Helper()
	d := newSmallDisk(t, mib)
	data := pgtest.Value[string](t, pgtest.Connect(t, server.URL("postgres")), "show data_directory")
	wal := filepath.Join(data, "pg_wal")
	server.Halt(t, pgtest.Fast)
	if out, err := exec.Command("cp", "-a", wal+"/.", d.space).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.RemoveAll(wal); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(d.space, wal); err != nil {
		t.Fatal(err)
	}
	server.Resume(t)
	return d
}

// T25, P25: the disk of the WAL fills up in the middle of a back-fill, and the server
// goes down over it until there is room. Once the server is back the next attempt
// ends: each row filled once, and none lost that was committed.
func TestAStepGoesOnOnceTheDiskOfTheWALHasRoomAgain(t *testing.T) {
	if !pgtest.Long() {
		t.Skip("a server that is down is waited for: only with PLEAT_TEST_LONG")
	}
	t.Parallel()
	server := pgtest.Own(t)
	disk := newWALDisk(t, 300, server)
	w := worldAt(t, server.URL("postgres"), "")
	w.set("min_wal_size", "32MB")
	w.set("max_wal_size", "32MB")
	w.exec(`create table users (id bigint primary key, n int not null default 0, w int not null default 0, name text)`)
	w.exec(`insert into users (id, name) select i, repeat(md5(i::text), 50) from generate_series(1, 40000) i; analyze users`)
	w.exec("checkpoint")
	w.set("max_wal_size", "4GB") // no file is used again from here on

	disk.fillUp()
	fills := planner.Step{ID: "fills", Action: counting(500)}
	err := w.try(t.Context(), fills)
	var full *postgres.FullError
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "No space left on device") {
		t.Errorf("got %v, want a *FullError", err)
	}
	disk.grow(800)
	server.Halt(t, pgtest.Immediate) // it is down
	server.Resume(t)
	w.admin = pgtest.Connect(t, w.url)
	if got := w.value("select (count(*) = 40000 and sum(n) between 1 and count(*) - 1)::text from users"); got != "true" {
		t.Errorf("all rows are there, and some are filled: %s", got)
	}
	if err := w.try(t.Context(), fills); err != nil {
		t.Fatal(err)
	}
	if got := w.value("select concat_ws(' ', count(*), min(n), max(n)) from users"); got != "40000 1 1" {
		t.Errorf("rows, least and most often filled: %s, want 40000 1 1", got)
	}
}

// set changes a setting of the server.
func (w *world) set(name, value string) {
	w.Helper()
	w.exec("alter system set " + name + " = '" + value + "'")
	w.exec("select pg_reload_conf()")
	eventually(w, name+" is "+value, func() bool { return w.value("show "+name) == value })
}

// fillUp leaves no room on the disk.
func (d *smallDisk) fillUp() {
	d.Helper()
	f, err := os.Create(filepath.Join(d.dir, "ballast"))
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<16); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.Fatal(err)
	}
}
