package postgres_test

import (
	"strings"
	"testing"

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
