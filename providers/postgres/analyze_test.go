package postgres_test

import (
	"testing"

	"pleat/providers/postgres/pgtest"
)

// A column that has just been filled is known to the planner, also of a table whose
// partitions alone hold rows, at which autovacuum never looks as a whole.
func TestWhatWasFilledIsAnalyzed(t *testing.T) {
	t.Parallel()
	for _, setup := range []string{
		"create table users (id bigint primary key, n int not null default 0) with (autovacuum_enabled = off)",
		"create table users (id bigint primary key, n int not null default 0) partition by range (id);" +
			"create table lower_users partition of users for values from (0) to (500) with (autovacuum_enabled = off);" +
			"create table others partition of users for values from (500) to (2000) with (autovacuum_enabled = off)",
	} {
		w := newWorld(t, setup+"; insert into users (id) select i from generate_series(1, 1000) i")
		w.apply(counting(200))
		if got := w.value("select string_agg(attname || ' ' || (most_common_vals::text), ',') from pg_stats where tablename = 'users'"); got != "n {1}" {
			t.Errorf("the planner knows of users %q, want that all have n = 1", got)
		}
	}
}

// Statistics are no reason to fail: who vacuums the table by hand keeps them away.
func TestAFillEndsWithoutStatistics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, countedUsers)
	keeper := pgtest.Connect(t, w.url)
	if _, err := keeper.Exec(t.Context(), "begin; lock users in share update exclusive mode"); err != nil {
		t.Fatal(err)
	}
	w.apply(counting(1000))
	if got := w.value("select string_agg(distinct n::text, ',') from users"); got != "1" {
		t.Errorf("users.n is %s, want 1 everywhere", got)
	}
}
