package postgres_test

import (
	"strings"
	"testing"
	"time"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

// statementWorld is a world on a server that counts statements.
func statementWorld(t *testing.T, setup string) *world {
	t.Helper()
	server := pgtest.Own(t)
	server.Exec(t, "alter system set shared_preload_libraries = 'pg_stat_statements'")
	server.Restart(t, pgtest.Fast)
	return worldAt(t, server.Database(t), "create extension pg_stat_statements;"+setup)
}

func TestStatementsThatUseWhatGoesAreSeen(t *testing.T) {
	t.Parallel()
	w := statementWorld(t, usersTable+"create table orders (id int, name text)")
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(p))
	use := func(sql string) { w.exec(sql) }
	use("select name from users where id = 1") // before the quiet time
	g := &planner.NoStatements{Change: c.Name, Uses: []planner.Use{{Table: users, Columns: []string{"name"}}}}
	soak := &planner.Soak{Change: c.Name, For: time.Hour, Sequence: migrations.OldWritesSequence(c.Name)}
	quiet := func() {
		t.Helper()
		if answer := w.ask(g); !answer.Met {
			t.Fatalf("%+v", answer)
		}
		w.ask(soak)
	}
	quiet()
	for _, sql := range []string{
		"select id, first from users", "update users set first = 'x' where id = 1", "select name from orders",
		"select count(*) from users", "comment on column users.name is 'old'",
	} {
		use(sql)
		if answer := w.ask(g); !answer.Met {
			t.Errorf("after %s: %+v", sql, answer)
		}
	}
	w.apply(&planner.Verify{Change: c.Name, Name: "names_agree", SQL: namesAgree, Digest: p.Digest})
	if answer := w.ask(g); !answer.Met {
		t.Errorf("after a verify of pleat's own: %+v", answer)
	}
	if w.observe(c).Changes[c.Name].QuietSince == nil {
		t.Fatal("the quiet time was ended by nothing")
	}
	for _, sql := range []string{
		"select name from users where id = 1", // known before: its count rises
		"select u.name as label from users u", "select * from users", "insert into users (name) values ('Ada Lovelace')",
	} {
		quiet()
		use(sql)
		answer := w.ask(g)
		if answer.Met || !strings.Contains(answer.Reason, "statements still use it (1 since it was last quiet), such as: ") {
			t.Errorf("after %s: %+v", sql, answer)
		}
		if w.observe(c).Changes[c.Name].QuietSince != nil {
			t.Errorf("after %s the quiet time goes on", sql)
		}
	}
	quiet()
	use("select pg_stat_statements_reset()")
	said := "was reset"
	if pgtest.Version(t, w.admin) < 14 { // it does not tell when it was
		said = "has forgotten a statement"
	}
	if answer := w.ask(g); answer.Met || !strings.Contains(answer.Reason, said) {
		t.Errorf("after a reset: %+v", answer)
	}
	quiet()
	if got := w.around("users").Statements; got != planner.StatementsCounted {
		t.Errorf("circumstances say %q", got)
	}
	use("drop extension pg_stat_statements")
	if answer := w.ask(g); answer.Met || !strings.Contains(answer.Reason, "is gone") {
		t.Errorf("without the extension: %+v", answer)
	}
	if got := w.around("users").Statements; got != planner.StatementsMissing {
		t.Errorf("circumstances say %q", got)
	}
}
