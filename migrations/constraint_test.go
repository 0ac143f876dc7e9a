package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/spec"
)

var orders = spec.ParseTable("orders")

// shop has two tables of which one refers to the other, without saying so.
func shop() *migrations.Catalog {
	return &migrations.Catalog{Tables: map[string]*migrations.Table{
		"users": {
			Columns:    []migrations.Column{{Name: "id", Type: "bigint", NotNull: true}, {Name: "email", Type: "text"}},
			PrimaryKey: []string{"id"}, PrimaryKeyName: "users_pkey",
			Indexes: []migrations.Index{
				{Name: "users_pkey", Definition: "CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)", Unique: true, Valid: true, Constraint: "users_pkey"},
			},
		},
		"orders": {
			Columns: []migrations.Column{{Name: "id", Type: "bigint", NotNull: true}, {Name: "user_id", Type: "integer"}, {Name: "total", Type: "integer"}},
			Constraints: []migrations.Constraint{
				{Name: "positive", Definition: "CHECK (((total > 0) AND ((total)::text <> ''::text))) NOT VALID", Kind: migrations.Check, Columns: []string{"total"}},
			},
			Indexes: []migrations.Index{
				{Name: "by_user", Definition: `CREATE INDEX by_user ON public.orders USING btree (user_id DESC, lower("Name"))`, Valid: true},
			},
		},
	}}
}

// written is a program as the plan and the server see it.
func written(p *migrations.Program) string {
	var out strings.Builder
	for _, stage := range []struct {
		name  string
		units []migrations.Unit
	}{{"expand", p.Expand}, {"validate", p.Validate}, {"hide", p.Hide}, {"drop", p.Drop}} {
		for _, u := range stage.units {
			fmt.Fprintf(&out, "%s: %s %s\n", stage.name, u.Verb, u.Title)
			fmt.Fprintf(&out, "  locks %s%s\n", located(u.Also), located([]migrations.TableLock{{Table: u.Table, Lock: u.Lock}}))
			for _, sql := range u.Statements {
				if block, _, ok := strings.Cut(sql, "$pleat$\n"); ok { // what it does is shown on a server
					sql = block + "…"
				}
				fmt.Fprintf(&out, "    %s\n", sql)
			}
			if len(u.Undo) == 0 {
				continue
			}
			fmt.Fprintf(&out, "  undo locks %s%s\n", located(u.UndoAlso), located([]migrations.TableLock{{Table: u.Table, Lock: u.UndoLock}}))
			for _, sql := range u.Undo {
				fmt.Fprintf(&out, "    %s\n", sql)
			}
		}
	}
	return out.String()
}

func located(locks []migrations.TableLock) string {
	var out string
	for _, l := range locks {
		out += fmt.Sprintf("%s %s; ", l.Table, l.Lock)
	}
	return out
}

func TestConstraintsAsSQL(t *testing.T) {
	key := &spec.AddForeignKey{Table: orders, Name: "orders_user_id_fkey", Columns: []string{"user_id"}, References: users, OnDelete: "set null"}
	check := &spec.AddCheck{Table: orders, Name: "total_is_known", Expression: "total is not null -- always"}
	tests := []struct {
		name   string
		change *spec.Change
		want   string
	}{
		{"check", expand(check), `expand:  constraint total_is_known on orders
  locks orders ACCESS EXCLUSIVE; 
    ALTER TABLE "public"."orders" ADD CONSTRAINT "total_is_known" CHECK (total is not null -- always
) NOT VALID
  undo locks orders ACCESS EXCLUSIVE; 
    ALTER TABLE "public"."orders" DROP CONSTRAINT IF EXISTS "total_is_known"
validate:  constraint total_is_known on orders
  locks orders SHARE UPDATE EXCLUSIVE; 
    ALTER TABLE "public"."orders" VALIDATE CONSTRAINT "total_is_known"
`},
		{"foreign key, the referenced table first", expand(key), `expand:  constraint orders_user_id_fkey on orders
  locks users SHARE ROW EXCLUSIVE; orders SHARE ROW EXCLUSIVE; 
    ALTER TABLE "public"."orders" ADD CONSTRAINT "orders_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "public"."users" ("id") ON DELETE SET NULL NOT VALID
  undo locks users ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE; 
    ALTER TABLE "public"."orders" DROP CONSTRAINT IF EXISTS "orders_user_id_fkey"
validate:  constraint orders_user_id_fkey on orders
  locks orders SHARE UPDATE EXCLUSIVE; 
    ALTER TABLE "public"."orders" VALIDATE CONSTRAINT "orders_user_id_fkey"
`},
		{"in contract", contract(key), `hide: enforce constraint orders_user_id_fkey on orders
  locks users SHARE ROW EXCLUSIVE; orders SHARE ROW EXCLUSIVE; 
    ALTER TABLE "public"."orders" ADD CONSTRAINT "orders_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "public"."users" ("id") ON DELETE SET NULL NOT VALID
  undo locks users ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE; 
    ALTER TABLE "public"."orders" DROP CONSTRAINT IF EXISTS "orders_user_id_fkey"
drop: validate constraint orders_user_id_fkey on orders
  locks orders SHARE UPDATE EXCLUSIVE; 
    ALTER TABLE "public"."orders" VALIDATE CONSTRAINT "orders_user_id_fkey"
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, written(lower(t, test.change, shop()))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConstraintsThatCannotBeAddedAreSaidWithTheReason(t *testing.T) {
	to := func(table string, columns ...string) *spec.AddForeignKey {
		return &spec.AddForeignKey{Table: users, Name: "k", Columns: []string{"id"}, References: spec.ParseTable(table), To: columns}
	}
	tests := []struct {
		name   string
		change *spec.Change
		want   string // a part of "Summary: Detail", "" = no complaint
	}{
		{"check that is no expression", expand(&spec.AddCheck{Table: orders, Name: "c", Expression: "total > 0); drop table users"}), "Invalid check"},
		{"check of a table that is not there", expand(&spec.AddCheck{Table: spec.ParseTable("nobody"), Name: "c", Expression: "true"}), "Unknown table"},
		{"reference to a table without a key", expand(to("orders")), "Nothing to refer to: Table orders has no primary key"},
		{"reference to what is not unique", expand(to("users", "email")), "Columns are not unique"},
		{"reference to a column that is not there", expand(to("users", "mail")), "Unknown column: Table users has no column mail. Did you mean email? It has id, email."},
		{"types that differ", expand(&spec.AddForeignKey{Table: orders, Name: "k", Columns: []string{"user_id"}, References: users}),
			"Types differ: Column orders.user_id is integer, and users.id, which it refers to, is bigint."},
		{"no index", expand(&spec.AddForeignKey{Table: orders, Name: "k", Columns: []string{"total"}, References: users}), "Foreign key without an index: No index of orders begins with (total)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, diags := migrations.Lower(test.change, shop())
			var said []string
			for _, d := range diags {
				said = append(said, d.Summary+": "+d.Detail)
			}
			if all := strings.Join(said, "\n"); !strings.Contains(all, test.want) || len(said) > 1 && test.want == "" {
				t.Errorf("said %q, want %q in it", all, test.want)
			}
		})
	}
}

// What pleat made under this definition is its own, whatever the server made of
// the text; what somebody else made must be the same as far as the text tells.
func TestAConstraintOfTheSameNameIsComparedWithWhatTheChangeSays(t *testing.T) {
	tests := []struct {
		name, expression string
		conflict         bool
	}{
		{"the server's spelling", "total > 0 and total::text <> ''", false},
		{"another operator", "total >= 0 and total::text <> ''", true},
		{"another constant", "total > 1 and total::text <> ''", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := lower(t, expand(&spec.AddCheck{Table: orders, Name: "positive", Expression: test.expression}), shop())
			if !p.Expand[0].Applied || p.Validate[0].Applied {
				t.Errorf("applied %t, validated %t; it is there and not valid", p.Expand[0].Applied, p.Validate[0].Applied)
			}
			diags := p.Conflicts(migrations.Recorded{})
			if diags.HasErrors() != test.conflict {
				t.Errorf("conflicts: %v, want %t", diags, test.conflict)
			}
			own := migrations.Recorded{Units: map[string]bool{p.Expand[0].ID: true}}
			if diags := p.Conflicts(own); diags.HasErrors() {
				t.Errorf("pleat made it, and yet: %v", diags)
			}
		})
	}
}

func TestAConstraintOfTheSameNameAndAnotherKindIsRefusedWithBothTexts(t *testing.T) {
	_, diags := migrations.Lower(expand(&spec.AddForeignKey{Table: orders, Name: "positive", Columns: []string{"user_id"}, References: users}), shop())
	if !diags.HasErrors() {
		t.Fatal("it was not refused")
	}
	for _, text := range []string{"CHECK (((total > 0)", `FOREIGN KEY ("user_id") REFERENCES "public"."users" ("id")`} {
		if said := fmt.Sprint(diags[len(diags)-1].Detail); !strings.Contains(said, text) {
			t.Errorf("%q does not say %s", said, text)
		}
	}
}

func TestConstraintsAreProjectedIntoThePhase(t *testing.T) {
	key := &spec.AddForeignKey{Table: orders, Name: "orders_user_id_fkey", Columns: []string{"user_id"}, References: users}
	check := &spec.AddCheck{Table: orders, Name: "total_is_known", Expression: "total is not null"}
	changes := map[string]*spec.Change{
		"expand": {Name: "c", Expand: []spec.Operation{key}, Contract: &spec.Contract{Operations: []spec.Operation{check}}},
		"unique in expand": {Name: "c", Expand: []spec.Operation{&spec.AddUnique{Table: users, Name: "k", Columns: []string{"email"}}},
			Contract: &spec.Contract{Operations: []spec.Operation{check}}},
		"unique in contract": {Name: "c", Expand: []spec.Operation{key}, Contract: &spec.Contract{Operations: []spec.Operation{
			&spec.AddUnique{Table: users, Name: "k", Columns: []string{"email"}}}}},
		"primary key": {Name: "c", Expand: []spec.Operation{key, &spec.AddPrimaryKey{Table: orders, Name: "orders_pkey", Columns: []string{"id", "total"}}},
			Contract: &spec.Contract{Operations: []spec.Operation{check}}},
	}
	for name, c := range changes {
		for _, from := range phases {
			start := migrations.Project(shop(), lower(t, c, shop()), from)
			for _, to := range phases {
				p := lower(t, c, start)
				projected := migrations.Project(start, p, to)
				q := lower(t, c, projected)
				rec := migrations.Recorded{Phase: to, Digest: q.Digest}
				got, drift := q.Phase(rec)
				if got != to || len(drift) > 0 {
					t.Errorf("%s: from %s to %s: phase is %s, drift %q", name, from, to, got, drift)
				}
			}
		}
	}
}

func TestKeysAndIndexesAsSQL(t *testing.T) {
	parted := shop()
	parted.Tables["orders"].Partitioned = "RANGE (id)"
	parted.Tables["orders"].Partitions = []migrations.Partition{{Table: "orders_1", Bound: "DEFAULT"}}
	tests := []struct {
		name   string
		change *spec.Change
		cat    *migrations.Catalog
		want   string
	}{
		{"unique", expand(&spec.AddUnique{Table: users, Name: "users_email_key", Columns: []string{"email"}, Include: []string{"id"}, NullsNotDistinct: true, Deferral: spec.Deferral{Deferrable: true}}), shop(), `expand:  index users_email_key on users
  locks users SHARE UPDATE EXCLUSIVE; 
    CREATE UNIQUE INDEX CONCURRENTLY "users_email_key" ON "public"."users" USING "btree" ("email") INCLUDE ("id") NULLS NOT DISTINCT
  undo locks users SHARE UPDATE EXCLUSIVE; 
    DROP INDEX CONCURRENTLY "public"."users_email_key"
expand:  constraint users_email_key on users
  locks users ACCESS EXCLUSIVE; 
    ALTER TABLE "public"."users" ADD CONSTRAINT "users_email_key" UNIQUE USING INDEX "users_email_key" DEFERRABLE
  undo locks users ACCESS EXCLUSIVE; 
    ALTER TABLE "public"."users" DROP CONSTRAINT IF EXISTS "users_email_key"
`},
		{"index arguments", expand(&spec.CreateIndex{Name: "i", Table: orders, Columns: []string{"total DESC NULLS LAST", "user_id int4_ops", "(lower(total::text)) DESC"},
			Include: []string{"id"}, With: map[string]string{"fillfactor": "70"}, Tablespace: "fast", Where: "id > 3"}), shop(), `expand:  index i on orders
  locks orders SHARE UPDATE EXCLUSIVE; 
    CREATE INDEX CONCURRENTLY "i" ON "public"."orders" USING "btree" ("total" DESC NULLS LAST, "user_id" int4_ops, (lower(total::text)) DESC) INCLUDE ("id") WITH ("fillfactor" = '70') TABLESPACE "fast" WHERE (id > 3)
  undo locks orders SHARE UPDATE EXCLUSIVE; 
    DROP INDEX CONCURRENTLY "public"."i"
`},
		{"index of a partitioned table", expand(&spec.CreateIndex{Name: "i", Table: orders, Columns: []string{"total"}}), parted, `expand:  index i on only orders
  locks orders SHARE ROW EXCLUSIVE; orders_1 SHARE ROW EXCLUSIVE; orders SHARE ROW EXCLUSIVE; 
    CREATE INDEX "i" ON ONLY "public"."orders" USING "btree" ("total")
  undo locks orders ACCESS EXCLUSIVE; orders_1 ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE; 
    DROP INDEX IF EXISTS "public"."i"
expand:  index orders_1_i on orders_1
  locks orders_1 SHARE UPDATE EXCLUSIVE; 
    CREATE INDEX CONCURRENTLY "orders_1_i" ON "public"."orders_1" USING "btree" ("total")
  undo locks orders_1 SHARE UPDATE EXCLUSIVE; 
    DROP INDEX CONCURRENTLY "public"."orders_1_i"
expand:  index i on orders
  locks orders SHARE UPDATE EXCLUSIVE; orders_1 SHARE UPDATE EXCLUSIVE; orders SHARE UPDATE EXCLUSIVE; 
    ALTER INDEX "public"."i" ATTACH PARTITION "public"."orders_1_i"
    DO …
  undo locks orders ACCESS EXCLUSIVE; orders_1 ACCESS EXCLUSIVE; orders ACCESS EXCLUSIVE; 
    DROP INDEX IF EXISTS "public"."i"
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, written(lower(t, test.change, test.cat))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
