package conn_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations/conn"
	"pleat/providers/postgres/pgtest"
)

func TestPipelineStopsAtTheFirstStatementThatFails(t *testing.T) {
	c := open(t, pgtest.New(t).Database(t))
	done, err := conn.Pipeline(t.Context(), c.Conn, []conn.Statement{
		{SQL: "create table public.made (n int)"},
		{SQL: "insert into public.made select $1::int", Args: []string{"7"}}, // read once the table is there
		{SQL: "select 1 / 0"},
		{SQL: "insert into public.made values (8)"},
	})
	var refusal *pgconn.PgError
	if done != 2 || !errors.As(err, &refusal) || refusal.Code != "22012" {
		t.Fatalf("%d were done, and then %v; want 2 and a division by zero", done, err)
	}
	if done, err := conn.Pipeline(t.Context(), c.Conn, []conn.Statement{{SQL: "select 1"}}); done != 1 || err != nil {
		t.Errorf("the session does not go on: %d, %v", done, err)
	}
}

func TestPipelineTimesAStatementByWhatTheOneBeforeItSet(t *testing.T) {
	c := open(t, pgtest.New(t).Database(t))
	done, err := conn.Pipeline(t.Context(), c.Conn, []conn.Statement{
		{SQL: "select pg_sleep(0.1)"}, {SQL: "set statement_timeout = '1ms'"}, {SQL: "select pg_sleep(30)"},
	})
	var refusal *pgconn.PgError
	if done != 2 || !errors.As(err, &refusal) || refusal.Code != "57014" {
		t.Errorf("%d were done, and then %v; want 2 and a statement timeout", done, err)
	}
}
