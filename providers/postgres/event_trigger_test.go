package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"pleat/migrations"
)

// What an event trigger's function does not find in pleat's session is said with the
// function's name, and what is to be done about it is enough.
func TestANameThatAnEventTriggerDoesNotFindIsToldWithTheFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+`create schema audit; create table audit.ddl (tag text);
		create function audit.ended() returns event_trigger language plpgsql as $$ begin insert into ddl values (tg_tag); end $$;
		create event trigger ended on ddl_command_end when tag in ('ALTER TABLE') execute function audit.ended()`)
	p := w.lower(splitName())
	step := w.step(forward(p, p.Expand[0], migrations.Expanded))
	err := w.try(t.Context(), step)
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "PL/pgSQL function audit.ended()") {
		t.Fatalf("the step says %v, with the hint %v", err, hinted)
	}
	w.exec("alter function audit.ended() set search_path = audit")
	if err := w.try(t.Context(), step); err != nil {
		t.Error(err)
	}
}
