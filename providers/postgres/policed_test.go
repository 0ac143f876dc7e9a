package postgres_test

import (
	"strings"
	"testing"

	"pleat/migrations"
)

// A back-fill by a role from which policies hide rows would leave those out, and the
// contract would lose them: it is foreseen, and fails where it was not.
func TestRowsThatPoliciesHideAreNotLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+`insert into users (name) select 'Ada King' from generate_series(1, 10);
		alter table users enable row level security; create policy mine on users using (id < 3)`)
	limited(w)
	if w.around("users").Tables["users"].Policed {
		t.Error("policies do not bind the owner")
	}
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.exec("alter table users force row level security")
	if !w.around("users").Tables["users"].Policed {
		t.Error("policies bind the owner, too, and that is not seen")
	}
	err := w.try(t.Context(), w.step(backfillOf(w.lower(c))))
	if err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("the back-fill leaves rows out and says %v", err)
	}
}
