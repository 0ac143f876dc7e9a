package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// hard are names that a careless split loses.
var hard = []string{"Mary Ann Smith", "Prince", "A  B", "", " leading", "trailing ", "Zoë van der Berg-O'Neil", "李 小龍"}

var (
	firsts = []string{"Ada", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Joan", "Ken"}
	lasts  = []string{"Allen", "Bartik", "Clarke", "Dijkstra", "Hopper", "Knuth", "Lamarr", "Liskov", "Lovelace", "Shannon", "Sutherland", "Thompson", "Wilkes"}
)

// name is what user id is called; one in ten is hard.
func name(id int64) string {
	if id%10 == 0 {
		return hard[id/10%int64(len(hard))]
	}
	return firsts[id%int64(len(firsts))] + " " + lasts[id%int64(len(lasts))]
}

// seed inserts users 1 to n.
func seed(ctx context.Context, url string, n int64) error {
	return session(ctx, url, func(c *pgx.Conn) error {
		id := int64(0)
		rows := pgx.CopyFromFunc(func() ([]any, error) {
			if id == n {
				return nil, nil
			}
			id++
			return []any{name(id)}, nil
		})
		// Without ids of our own, the table numbers them in this order.
		copied, err := c.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"name"}, rows)
		if err != nil {
			return fmt.Errorf("inserting users: %w", err)
		}
		if copied != n {
			return fmt.Errorf("inserting users: %d of %d", copied, n)
		}
		_, err = c.Exec(ctx, "analyze users")
		return err
	})
}

// intact counts the users 1 to n that still have their name, in the shape
// after the change.
func intact(ctx context.Context, url string, n int64) (good int64, err error) {
	err = session(ctx, url, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, "select id, concat_ws(' ', first, last) from users where id <= $1", n)
		if err != nil {
			return err
		}
		var id int64
		var full string
		_, err = pgx.ForEachRow(rows, []any{&id, &full}, func() error {
			if full == name(id) {
				good++
			}
			return nil
		})
		return err
	})
	return good, err
}

// session runs f on a connection of its own.
func session(ctx context.Context, url string, f func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	if err := f(c); err != nil {
		// The connection may be in any state; its end is of no interest.
		_ = c.Close(ctx)
		return err
	}
	return c.Close(ctx)
}
