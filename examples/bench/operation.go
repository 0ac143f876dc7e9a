package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// operation is a schema change in pleat's words, in pgroll's and as bare SQL.
type operation struct {
	name     string
	spec     func(soak string) string
	drops    []string // what the contract takes away
	roll     string
	bare     []string                  // while the old shape is written
	contract []string                  // when only the new one is
	shape    func(schema string) shape // of who writes then
	done     string                    // a query that gives 1 when the change is there
}

func sameShape(schema string) shape {
	s := oldShape()
	s.schema = schema
	return s
}

func operations() []operation {
	return []operation{
		{
			name: "split_name", drops: []string{"users.name"},
			spec: func(soak string) string { return splitSpec("", soak) },
			roll: rollSplit, bare: []string{bareSplit, bareFill},
			contract: []string{"alter table users drop column name"}, shape: newShape,
			done: "select 1 - count(*) from pg_attribute where attrelid = 'users'::regclass and attname = 'name'",
		},
		{
			name: "set_not_null", spec: expanding(`
    set_not_null "users" "email" {
    }`),
			roll: alterColumn("email", "nullable: false", "email"), bare: []string{"alter table users alter column email set not null"}, shape: sameShape,
			done: "select attnotnull::int from pg_attribute where attrelid = 'users'::regclass and attname = 'email'",
		},
		{
			name: "change_type", drops: []string{"users.pleat_hidden_logins"}, spec: changeType,
			roll: alterColumn("logins", "type: bigint", "logins"), bare: []string{"alter table users alter column logins type bigint"}, shape: sameShape,
			done: "select (atttypid = 'bigint'::regtype)::int from pg_attribute where attrelid = 'users'::regclass and attname = 'logins'",
		},
		{
			name: "create_index", spec: expanding(`
    create_index "users_name" {
      table   = "users"
      columns = ["name"]
    }`),
			roll: rollIndex, bare: []string{"create index users_name on users (name)"}, shape: sameShape,
			done: "select indisvalid::int from pg_index where indexrelid = 'users_name'::regclass",
		},
		{
			name: "add_unique", spec: expanding(`
    add_unique "users" "users_email_key" {
      columns = ["email"]
    }`),
			roll: rollUnique, bare: []string{"alter table users add constraint users_email_key unique (email)"}, shape: sameShape,
			done: "select count(*) from pg_constraint where conrelid = 'users'::regclass and conname = 'users_email_key'",
		},
	}
}

// expanding is a change that expands and has nothing to contract.
func expanding(expand string) func(string) string {
	return func(string) string { return header + "\nchange \"it\" {\n  expand {" + expand + "\n  }\n}\n" }
}

func changeType(soak string) string {
	return header + `
change "it" {
  change_type "users" "logins" {
    type = "bigint"
    hide = "0s"
  }
  contract {
    soak = "` + soak + `"
  }
}
`
}

func alterColumn(column, what, as string) string {
	return fmt.Sprintf("  - alter_column:\n      table: users\n      column: %s\n      %s\n      up: %s\n      down: %s\n", column, what, as, as)
}

const rollIndex = `
  - create_index:
      name: users_name
      table: users
      columns:
        - column: name
`

const rollUnique = `
  - create_constraint:
      type: unique
      table: users
      name: users_email_key
      columns: [email]
      up: {email: email}
      down: {email: email}
`

// tool carries an operation out in two commands: one while the old shape is
// written, one when only the new shape is.
type tool struct {
	name            string
	prepare         func(context.Context, database) error
	start, complete func(context.Context, database, operation) error
	schema          string // where it serves the new shape
}

func (b *bench) tools() []tool {
	all := []tool{
		{name: "pleat", prepare: b.prepare,
			start: func(ctx context.Context, d database, o operation) error {
				_, err := b.apply(ctx, d, o.spec(later))
				return err
			},
			complete: func(ctx context.Context, d database, o operation) error {
				if len(o.drops) == 0 {
					return nil // one apply was all of it
				}
				_, err := b.apply(ctx, d, o.spec(atOnce), o.drops...)
				return err
			}},
		{name: "bare", prepare: func(context.Context, database) error { return nil },
			start:    func(ctx context.Context, d database, o operation) error { return execute(ctx, d.url, o.bare...) },
			complete: func(ctx context.Context, d database, o operation) error { return execute(ctx, d.url, o.contract...) }},
	}
	if b.options.pgroll != "" {
		all = append(all, tool{name: "pgroll", prepare: b.baseline, schema: rollSchema,
			start:    func(ctx context.Context, d database, o operation) error { return b.rollStart(ctx, d, o.roll) },
			complete: func(ctx context.Context, d database, _ operation) error { return b.roll(ctx, d, "complete") }})
	}
	return all
}

// changed is what one operation did.
type changed struct {
	took                    time.Duration // of both commands
	start, complete, before suffering
}

// operations times whole changes under load, and watches the writers.
func (b *bench) operations(ctx context.Context) error {
	for _, o := range operations() {
		for _, t := range b.tools() {
			seen, err := b.change(ctx, b.rows, t, o)
			if errors.Is(err, errUnsupported) {
				b.leftOut(o.name+"_"+t.name, err.Error())
				continue
			}
			if err != nil {
				return fmt.Errorf("%s by %s: %w", o.name, t.name, err)
			}
			b.tellChange(o.name, t.name, seen)
		}
	}
	return nil
}

func (b *bench) change(ctx context.Context, rows int64, t tool, o operation) (seen changed, err error) {
	err = b.populated(ctx, rows, func(d database) error {
		if err := t.prepare(ctx, d); err != nil {
			return err
		}
		if seen.before, err = b.undisturbed(ctx, d); err != nil {
			return err
		}
		seen.start, seen.complete, seen.took, err = t.carryOut(ctx, d, o)
		if err != nil {
			return err
		}
		n, err := value(ctx, d.url, o.done)
		if err == nil && n != 1 {
			err = errors.New("it ended well, and the change is not there")
		}
		return err
	})
	if t.name == "pleat" && err == nil {
		b.suffered = append(b.suffered, seen.start, seen.complete)
	}
	return seen, err
}

func (t tool) carryOut(ctx context.Context, d database, o operation) (start, complete suffering, took time.Duration, err error) {
	start, first, err := under(ctx, d, oldShape(), func() error { return t.start(ctx, d, o) })
	if err != nil {
		return start, complete, 0, err
	}
	complete, second, err := under(ctx, d, o.shape(t.schema), func() error { return t.complete(ctx, d, o) })
	return start, complete, first + second, err
}

func (b *bench) tellChange(operation, tool string, seen changed) {
	name := operation + "_" + tool
	b.figure(name+"_s", seen.took.Seconds(), "s")
	b.figure(name+"_worst_ms", milliseconds(max(seen.start.worst, seen.complete.worst)), "ms")
	b.figure(name+"_p99_ms", milliseconds(max(seen.start.p99, seen.complete.p99)), "ms")
	b.figure(name+"_undisturbed_p99_ms", milliseconds(seen.before.p99), "ms")
	b.figure(name+"_errors", float64(seen.start.errors+seen.complete.errors), "writes")
	b.tellErrors(name, seen.start, seen.complete)
}

// tellErrors says the first of them.
func (b *bench) tellErrors(name string, all ...suffering) {
	for _, s := range all {
		if len(s.texts) > 0 {
			b.talk("%s: %d errors of %d writes: %s", name, s.errors, s.writes, strings.Join(slices.Compact(s.texts), "; "))
		}
	}
}

// clientErrors counts the errors of writers in whole changes, one after the
// other. Errors come when the shape changes, not while rows are filled, so the
// table is a tenth of the others'.
func (b *bench) clientErrors(ctx context.Context) error {
	o := operations()[0]
	for _, t := range b.tools() {
		if t.name == "bare" {
			continue // it keeps nothing in step, so there is nothing to compare
		}
		errors := 0
		for range b.runs {
			seen, err := b.change(ctx, max(b.rows/10, smallest), t, o)
			if err != nil {
				return fmt.Errorf("by %s: %w", t.name, err)
			}
			errors += seen.start.errors + seen.complete.errors
			b.tellErrors("client errors of "+t.name, seen.start, seen.complete)
		}
		name := "client_errors"
		if t.name != "pleat" {
			name += "_" + t.name
		}
		b.figure(name, float64(errors), fmt.Sprintf("writes in %d runs", b.runs))
	}
	return nil
}
