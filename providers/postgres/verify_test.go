package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres"
)

func TestVerifyShowsSomeOfTheRowsThatBreakThePromise(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) select repeat('x', i * 20) from generate_series(1, 8) i")
	a := &planner.Verify{Change: "c", Name: "short", SQL: "select id, name, null as nothing from users where length(name) > 20 order by id; -- all\n", Max: 6,
		Phase: migrations.Verified, Digest: "d"}
	err := w.try(t.Context(), w.step(a))
	var broken *postgres.VerifyError
	if !errors.As(err, &broken) || broken.Rows != 7 || len(broken.Samples) != 5 {
		t.Fatalf("got %v, want a *VerifyError of 7 rows with 5 samples", err)
	}
	if want := "id=5 name=" + strings.Repeat("x", 80) + "… nothing=NULL"; broken.Samples[3] != want {
		t.Errorf("sample is %q, want %q", broken.Samples[3], want)
	}
	if n := w.value("select count(*)::text from pleat.change"); n != "0" {
		t.Error("a verify that failed was recorded")
	}
	a.Max = 7
	w.apply(a)
	if phase := w.value("select phase from pleat.change where name = 'c'"); phase != "verified" {
		t.Errorf("phase is %s", phase)
	}
}

func TestVerifyCanOnlyAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+`; insert into users (name) values ('a');
		create function sneaky() returns int language sql as 'delete from users returning 1'`)
	for _, sql := range []string{"select sneaky()", "delete from users returning 1", "select 1) as q; delete from users; select * from (select 1"} {
		err := w.try(t.Context(), w.step(&planner.Verify{Change: "c", Name: "v", SQL: sql}))
		if err == nil {
			t.Errorf("%s was carried out", sql)
		}
	}
	if n := w.value("select count(*)::text from users"); n != "1" {
		t.Errorf("%s rows are left, want 1", n)
	}
}
