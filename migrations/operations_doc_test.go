package migrations_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"pleat/migrations"
	"pleat/spec"
)

var update = flag.Bool("update", false, "rewrite the document")

const (
	operationsDoc = "../docs/operations.md"
	examplesFile  = "testdata/operations.pleat.hcl"
)

// The document is what the code makes of the examples: each is lowered against
// tables that have rows. An operation gets its section by an example.
func TestOperationsDocument(t *testing.T) {
	source, err := os.ReadFile(examplesFile)
	if err != nil {
		t.Fatal(err)
	}
	got := operationsIntroduction + documentOf(t, source)
	if *update {
		if err := os.WriteFile(operationsDoc, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(operationsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/operations.md is not what the code says; go test ./migrations -run OperationsDocument -update (-file +code):\n%s", diff)
	}
}

// Whatever the language has for a change has an example.
func TestEveryOperationHasAnExample(t *testing.T) {
	reference, err := os.ReadFile("../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(examplesFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(reference), "### `change ")
	change, _, _ := strings.Cut(rest, "\n### ")
	for _, m := range regexp.MustCompile("(?m)^####+ `([a-z_]+) \"(?:TABLE|NAME|INDEX|ENUM)\"").FindAllStringSubmatch(change, -1) {
		name := m[1]
		if unlike := []string{"verify", "quiet", "column"}; !contains(unlike, name) && !strings.Contains(string(source), name+" \"") {
			t.Errorf("%s has no example in %s", name, examplesFile)
		}
	}
}

func contains(list []string, name string) bool {
	for _, l := range list {
		if l == name {
			return true
		}
	}
	return false
}

const operationsIntroduction = `# What each operation does

Made from code: every change below is lowered as ` + "`pleat plan`" + ` lowers it, against
tables that have rows. Which stage a step belongs to decides when it runs:

| stage | when |
|---|---|
| expand | first, while releases run that do not know the change |
| backfill | rows from before, batch by batch |
| validate | once all rows are filled |
| contract | once nobody is left who needs what goes; until the drop it is taken back without loss |
| drop | for good, after the time that the author sets |

The lock is the strongest that a step takes on its table; a strong one is held
for an instant, and asked for with the lock budget of the database. "rows" is
what happens to the rows that are there: no step writes a table anew. "-" under
undo is that nothing has to be taken back; "none" that there is no way back.
Bodies of functions are cut short.
`

func documentOf(t *testing.T, source []byte) string {
	t.Helper()
	changes := loadExamples(t, source)
	file, diags := hclsyntax.ParseConfig(source, examplesFile, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var b strings.Builder
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "change" {
			continue
		}
		change := changes[block.Labels[0]]
		p, diags := migrations.Lower(change, exampleTables())
		if diags.HasErrors() {
			t.Fatalf("%s: %v", change.Name, diags)
		}
		r := block.Range()
		fmt.Fprintf(&b, "\n## %s\n\n```hcl\n%s\n```\n\n", heading(change.Name), source[r.Start.Byte:r.End.Byte])
		b.WriteString("| stage | SQL | lock | rows | undo | loses |\n|---|---|---|---|---|---|\n")
		writeProgram(&b, p)
	}
	return b.String()
}

// heading is OPERATION, or OPERATION: VARIANT.
func heading(name string) string {
	operation, variant, ok := strings.Cut(name, "__")
	if !ok {
		return name
	}
	return operation + ": " + strings.ReplaceAll(variant, "_", " ")
}

// loadExamples are the changes by name.
func loadExamples(t *testing.T, source []byte) map[string]*spec.Change {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.pleat.hcl"), source, 0o600); err != nil {
		t.Fatal(err)
	}
	s, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	changes := map[string]*spec.Change{}
	for _, c := range s.Changes {
		changes[c.Name] = c
	}
	return changes
}

func writeProgram(b *strings.Builder, p *migrations.Program) {
	writeUnits(b, "expand", p.Expand)
	for _, f := range p.Backfills {
		sets := make([]string, len(f.Set))
		for i, s := range f.Set {
			sets[i] = migrations.Ident(s.Column) + " = " + s.Expression
		}
		sql := fmt.Sprintf("UPDATE %s SET %s WHERE %s", f.Table, strings.Join(sets, ", "), f.Where)
		writeRow(b, "backfill", code(sql), string(f.Lock()), "written, batch by batch", "may stay half done", "")
	}
	writeUnits(b, "validate", p.Validate)
	writeUnits(b, "contract", p.Hide)
	writeUnits(b, "drop", p.Drop)
}

func writeUnits(b *strings.Builder, stage string, units []migrations.Unit) {
	for _, u := range units {
		undo := sqlCell(u.Undo)
		switch {
		case u.Undo == nil:
			undo = "none"
		case len(u.Undo) == 0:
			undo = "-"
		}
		if len(u.Statements) == 0 {
			writeRow(b, stage, "(only when the change is taken back)", string(u.UndoLock), rowsOf(u.Whole().Undo), sqlCell(u.Whole().Undo), u.Whole().Loses)
			continue
		}
		lock := string(u.Lock)
		for _, also := range u.Also {
			lock += fmt.Sprintf("; %s on %s", also.Lock, also.Table)
		}
		lock = strings.TrimPrefix(lock, "; ")
		loses := u.Loses
		if u.Undo == nil && len(u.Drops) > 0 {
			loses = "**" + strings.Join(u.Drops, ", ") + "**"
		}
		rows := rowsOf(u.Statements)
		if len(u.Hazards) > 0 || len(u.Author.Does) > 0 || strings.Contains(u.ID, ".sql.") {
			rows = "as it says"
		}
		writeRow(b, stage, sqlCell(u.Statements), lock, rows, undo, loses)
	}
}

func writeRow(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func sqlCell(statements []string) string {
	cells := make([]string, len(statements))
	for i, s := range statements {
		cells[i] = code(s)
	}
	return strings.Join(cells, "<br>")
}

// code cuts the body of a function short.
func code(sql string) string {
	if head, _, ok := strings.Cut(sql, " AS $pleat"); ok {
		sql = head + " AS …"
	}
	if strings.HasPrefix(sql, "DO $") {
		sql = "DO …"
	}
	sql = strings.Join(strings.Fields(sql), " ")
	return "`" + strings.ReplaceAll(sql, "|", `\|`) + "`"
}

// rowsOf is what statements do to the rows that are there. Whether that is all
// is asserted where they run: TestEveryOperation of the provider.
func rowsOf(statements []string) string {
	all := strings.Join(statements, "\n")
	if strings.Contains(all, "EXCLUDE USING") {
		return "read, while everybody waits"
	}
	if strings.Contains(all, "VALIDATE CONSTRAINT") || strings.Contains(all, "REFRESH ") || strings.Contains(all, "INDEX CONCURRENTLY") && strings.Contains(all, "CREATE") {
		return "read, while others go on"
	}
	return "not touched"
}

// exampleTables are what the examples meet.
func exampleTables() *migrations.Catalog {
	text := func(name string) migrations.Column { return migrations.Column{Name: name, Type: "text"} }
	key := func(name string) migrations.Column {
		return migrations.Column{Name: name, Type: "bigint", NotNull: true}
	}
	name, status, visits := text("name"), text("status"), text("visits_text")
	name.NotNull, status.Default, visits.NotNull = true, "'new'::text", true
	return &migrations.Catalog{Version: 18, Enums: map[string][]string{"mood": {"low", "high"}}, Tables: map[string]*migrations.Table{
		"users": {
			Columns:    []migrations.Column{key("id"), name, text("email"), status, visits},
			PrimaryKey: []string{"id"}, PrimaryKeyName: "users_pkey",
			Indexes: []migrations.Index{
				{Name: "users_by_name", Definition: "CREATE INDEX users_by_name ON public.users USING btree (name)", Valid: true},
				{Name: "users_by_visits", Definition: "CREATE INDEX users_by_visits ON public.users USING btree (visits_text)", Valid: true},
			},
			Rows: 1_000_000,
		},
		"orders": {Columns: []migrations.Column{key("id"), key("user_id"), {Name: "amount", Type: "numeric"}}, Rows: 1_000_000},
		"events": {
			Columns: []migrations.Column{key("id"), {Name: "at", Type: "timestamp with time zone"}}, Partitioned: "RANGE (at)",
			Partitions: []migrations.Partition{{Table: "events_2026", Bound: "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')"}, {Table: "events_rest", Bound: "DEFAULT"}},
		},
		"logs": {
			Columns: []migrations.Column{{Name: "at", Type: "date"}}, Partitioned: "RANGE (at)",
			Indexes:    []migrations.Index{{Name: "logs_by_at", Definition: "CREATE INDEX logs_by_at ON ONLY public.logs USING btree (at)", Valid: true}},
			Partitions: []migrations.Partition{{Table: "logs_2020", Bound: "FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')"}},
		},
		"logs_2020":   {Columns: []migrations.Column{{Name: "at", Type: "date"}}, PartitionOf: "logs", Rows: 1_000_000},
		"events_2025": {Columns: []migrations.Column{key("id"), {Name: "at", Type: "timestamp with time zone"}}, Rows: 1_000_000},
		"visits": {
			Columns: []migrations.Column{{Name: "at", Type: "date", NotNull: true}, {Name: "page", Type: "character varying(200)", NotNull: true}}, Partitioned: "RANGE (at)",
			Indexes:    []migrations.Index{{Name: "visits_by_page", Definition: "CREATE INDEX visits_by_page ON ONLY public.visits USING btree (page)", Valid: true}},
			Partitions: []migrations.Partition{{Table: "visits_2026", Bound: "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"}},
		},
		"calls": {
			Columns: []migrations.Column{{Name: "at", Type: "date", NotNull: true}, {Name: "id", Type: "integer", NotNull: true, Identity: "ALWAYS"}}, Partitioned: "RANGE (at)",
			PrimaryKey: []string{"id", "at"}, PrimaryKeyName: "calls_pkey",
			Indexes:    []migrations.Index{{Name: "calls_pkey", Definition: "CREATE UNIQUE INDEX calls_pkey ON ONLY public.calls USING btree (id, at)", Unique: true, Valid: true, Constraint: "calls_pkey"}},
			Partitions: []migrations.Partition{{Table: "calls_2026", Bound: "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"}},
		},
		"stock": {
			Columns: []migrations.Column{key("id"), {Name: "amount", Type: "integer"}}, PrimaryKey: []string{"id"}, PrimaryKeyName: "stock_pkey", Rows: 1_000_000,
			Views: []migrations.View{
				{Name: "stock_total", Object: "materialized view public.stock_total", Columns: []string{"amount"}, Materialized: true, Filled: true},
				{Name: "stock_shown", Object: "view public.stock_shown", Reads: []string{"stock_total"}},
			},
		},
		"bookings": {
			Columns: []migrations.Column{key("id"), key("user_id"), text("code"), {Name: "cost", Type: "numeric"}, {Name: "during", Type: "tstzrange"}, {Name: "cancelled", Type: "boolean"}},
			Constraints: []migrations.Constraint{
				{Name: "bookings_code_key", Kind: migrations.Unique, Definition: "UNIQUE (code)", Columns: []string{"code"}, Valid: true},
				{Name: "bookings_user_id_fkey", Kind: migrations.Foreign, Definition: "FOREIGN KEY (user_id) REFERENCES public.users(id)", Columns: []string{"user_id"}, References: "users", Valid: true},
				{Name: "cost_positive", Kind: migrations.Check, Definition: "CHECK ((cost > (0)::numeric))", Columns: []string{"cost"}, Valid: true},
			},
			Indexes: []migrations.Index{{Name: "bookings_code_key", Constraint: "bookings_code_key", Definition: "CREATE UNIQUE INDEX bookings_code_key ON public.bookings USING btree (code)", Unique: true, Valid: true}},
			Rows:    1_000_000,
		},
		"old_users": {Columns: []migrations.Column{key("id")}},
	}}
}
