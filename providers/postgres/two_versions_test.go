package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

// versions are two of an application that write to the same rows. Each of the
// clients has rows of its own, and knows what it wrote to them last.
type versions struct {
	*world
	clients []*eitherWriter
	writes  atomic.Int64
}

type eitherWriter struct {
	conn *pgx.Conn
	r    *rand.Rand
	last map[int]string // what rows are called
}

const (
	rowsOfAClient = 500
	clients       = 4
)

// write is one write by the old version, or by the new one, and a look at it by
// the other where that is there.
func (c *eitherWriter) write(ctx context.Context, n int64, old, both bool) error {
	ids := len(c.last)
	id := -1
	for i := range maps.Keys(c.last) { // any
		id = i
		break
	}
	first, last := fmt.Sprint("First", n), fmt.Sprint("Last", c.r.IntN(1_000_000))
	name := first + " " + last
	sql, args := "update users set name = $1 where id = $2 returning id", []any{name, id}
	switch adds := c.r.IntN(20) == 0 && ids < 2*rowsOfAClient; {
	case old && adds:
		sql, args = "insert into users (name) values ($1) returning id", []any{name}
	case !old && adds:
		sql, args = "insert into users (first, last) values ($1, $2) returning id", []any{first, last}
	case !old:
		sql, args = "update users set first = $1, last = $2 where id = $3 returning id", []any{first, last, id}
	}
	if err := c.conn.QueryRow(ctx, sql, args...).Scan(&id); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	c.last[id] = name
	sql = "select name from users where id = $1"
	if old == both {
		sql = "select concat_ws(' ', first, last) from users where id = $1"
	}
	var seen string
	if err := c.conn.QueryRow(ctx, sql, id).Scan(&seen); err != nil || seen != name {
		return fmt.Errorf("%s: row %d is %q, %v, and %q was written", sql, id, seen, err, name)
	}
	return nil
}

// until has the clients write, as old or new at random where both are there, while
// the change goes on, and until there were so many writes.
func (v *versions) until(writes int64, old, both bool, change func()) {
	v.Helper()
	ctx := context.WithoutCancel(v.Context())
	var over atomic.Bool
	var all errgroup.Group
	for _, c := range v.clients {
		all.Go(func() error {
			for !over.Load() || v.writes.Load() < writes {
				if err := c.write(ctx, v.writes.Add(1), old && !both || both && c.r.IntN(2) == 0, both); err != nil {
					return err
				}
			}
			return nil
		})
	}
	change()
	over.Store(true)
	if err := all.Wait(); err != nil {
		v.Fatal(err)
	}
}

// same compares what a version sees of all rows with what was written.
func (v *versions) same(when, shown string) {
	v.Helper()
	want := map[int]string{}
	for _, c := range v.clients {
		maps.Copy(want, c.last)
	}
	rows, err := v.admin.Query(v.Context(), "select id, "+shown+" from users")
	if err != nil {
		v.Fatal(err)
	}
	var id int
	var name string
	differ, seen := 0, 0
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		seen++
		if want[id] != name {
			differ++
		}
		return nil
	})
	if err != nil || differ > 0 || seen != len(want) {
		v.Errorf("%s, by %s: %d rows of %d, %d differ, %v", when, shown, seen, len(want), differ, err)
	}
}

// T23, P23: two versions of an application write and read the same rows from expand
// until contract. No statement fails, and each sees what the other wrote, at once
// and at the end. With PLEAT_TEST_LONG it is 1,000,000 writes.
func TestTwoVersionsSeeWhatEitherWrites(t *testing.T) {
	t.Parallel()
	whole := int64(20_000)
	if pgtest.Long() {
		whole = 1_000_000
	}
	v := &versions{world: newWorld(t, usersTable)}
	v.exec(fmt.Sprintf("insert into users (name) select 'First0 Last' || i from generate_series(1, %d) i", clients*rowsOfAClient))
	for n := range clients {
		c := &eitherWriter{conn: pgtest.Connect(t, v.url), r: rand.New(rand.NewPCG(uint64(n), 23)), last: map[int]string{}}
		for i := range rowsOfAClient {
			id := n*rowsOfAClient + i + 1
			c.last[id] = fmt.Sprint("First0 Last", id)
		}
		v.clients = append(v.clients, c)
	}
	c := splitName()
	p := v.lower(c)
	v.until(whole/10, true, false, func() { v.do(p, p.Expand, migrations.Expanded) })
	v.until(whole*8/10, true, true, func() {
		v.apply(backfillOf(p))
		v.apply(&planner.Verify{Change: c.Name, Name: "names_agree", SQL: namesAgree, Phase: migrations.Verified, Digest: p.Digest})
	})
	v.same("before the contract", "name")
	v.same("before the contract", "concat_ws(' ', first, last)")
	v.until(whole, false, false, func() {
		hide := v.lower(c)
		v.do(hide, hide.Hide, migrations.Hidden)
		drop := v.lower(c)
		v.do(drop, drop.Drop, migrations.Contracted)
	})
	v.same("after the contract", "concat_ws(' ', first, last)")
}
