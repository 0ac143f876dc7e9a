package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/spec"
)

// SET NOT NULL believes the check that was validated, and looks at no row under
// its strong lock: the server says so where it does.
func TestNotNullIsProvenByItsCheck(t *testing.T) {
	w := newWorld(t, usersTable+"alter table users add status text default 'new'; insert into users (name) select 'Ada' from generate_series(1, 100);")
	change := &spec.Change{Name: "c", Expand: []spec.Operation{&spec.SetNotNull{Table: users, Column: "status"}}}
	p := w.lower(change)
	w.apply(forward(p, p.Expand[0], migrations.Expanded))
	w.apply(forward(p, p.Validate[0], ""))
	said := w.said(p.Validate[1].Statements)
	if want := "are sufficient to prove that it does not contain nulls"; !strings.Contains(said, want) {
		t.Errorf("%q\nmade the server say:\n%s\nwhich is not that constraints %s", p.Validate[1].Statements, said, want)
	}
	if strings.Contains(said, "verifying table") {
		t.Errorf("the server read the table:\n%s", said)
	}
}

// So it is where a way back goes back itself: that NOT NULL goes is taken back
// before the check goes that is validated again.
func TestNotNullIsProvenOnceMore(t *testing.T) {
	w := newWorld(t, usersTable+"alter table users add status text default 'new'; insert into users (name) select 'Ada' from generate_series(1, 100);")
	change := &spec.Change{Name: "c", Expand: []spec.Operation{&spec.SetNotNull{Table: users, Column: "status"}}}
	before := w.schema()
	w.advance(change, migrations.Verified)
	p, rec := w.recorded(change)
	back := w.taken(slices.Concat(p.Expand, p.Validate), rec)
	w.undo(p, back, migrations.Absent)
	if diff := cmp.Diff(before, w.schema()); diff != "" {
		t.Errorf("after the way back (-before +after):\n%s", diff)
	}
	for _, u := range back {
		if said := w.said(u.Statements); strings.Contains(said, "verifying table") != strings.HasPrefix(u.ID, "validate.") {
			t.Errorf("%q\nmade the server say:\n%s", u.Statements, said)
		}
	}
}

// A hidden column that was NOT NULL is back at once, whatever the size of its
// table: one that is too large to be read under a strong lock has a check, and
// that goes where the column is hidden again.
func TestHiddenNotNullComesBackUnread(t *testing.T) {
	w := newWorld(t, usersTable+`
		alter table users add code text not null default '', add pad text default repeat('x', 7000);
		alter table users alter code drop default, alter pad set storage plain;
		insert into users (name, code) select 'Ada', 'a' from generate_series(1, 2500)`)
	change := &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{&spec.DropColumn{Table: users, Column: "code"}}}}
	w.advance(change, migrations.Hidden)
	w.exec("insert into users (name) values ('Grace')")
	hidden := w.lower(change).Hide[0]
	if said := w.said(hidden.Undo); strings.Contains(said, "verifying table") {
		t.Errorf("the server read the table:\n%s", said)
	}
	w.refused("insert into users (name) values ('Grace')")
	w.said(w.lower(change).Hide[0].Statements)
	w.exec("insert into users (name) values ('Grace')")
	w.said(w.lower(change).Hide[0].Undo)
	w.refused("insert into users (name) values ('Grace')")
}

func (w *world) refused(sql string) {
	w.Helper()
	if _, err := w.admin.Exec(w.Context(), sql); err == nil {
		w.Errorf("nothing refused %s", sql)
	}
}

// said is what the server tells a debugger of statements in one transaction.
func (w *world) said(statements []string) string {
	w.Helper()
	config, err := pgx.ParseConfig(w.url)
	if err != nil {
		w.Fatal(err)
	}
	var said strings.Builder
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { said.WriteString(n.Message + "\n") }
	c, err := pgx.ConnectConfig(w.Context(), config)
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close(w.Context())
	sql := "set client_min_messages = debug1; begin; " + strings.Join(statements, "; ") + "; commit"
	if _, err := c.Exec(w.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return said.String()
}
