package hazard_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/hazard"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// worldSQL is what the statements of the corpus meet.
//
//go:embed testdata/world.sql
var worldSQL string

// corpusSQL is statements that can run in a transaction, one a line.
//
//go:embed testdata/corpus.sql
var corpusSQL string

// observed is what a server showed of one statement.
type observed struct {
	locks    map[spec.Table]hazard.Mode
	files    []spec.Table // relations that have another file afterwards
	tableOf  map[spec.Table]spec.Table
	strength hazard.Mode
}

// TestDeclaredLocksAreTheServers runs each statement in a transaction of its
// own and looks at pg_locks: what is seen was declared, and the strongest of
// both is the same. A table with a new file was declared as written anew.
func TestDeclaredLocksAreTheServers(t *testing.T) {
	s := pgtest.New(t)
	url := s.Database(t)
	pgtest.Exec(t, url, worldSQL)
	c := pgtest.Connect(t, url)
	version := pgtest.Value[int](t, c, "select current_setting('server_version_num')::int")
	n := 0
	for _, sql := range strings.Split(strings.TrimSpace(corpusSQL), "\n") {
		if sql == "" || strings.HasPrefix(sql, "--") {
			continue
		}
		n++
		t.Run(sql, func(t *testing.T) {
			all, err := hazard.Read(sql, hazard.Options{Version: version})
			if err != nil || len(all) != 1 {
				t.Fatalf("%d statements, %v", len(all), err)
			}
			for _, f := range all[0].Findings {
				if f.Code == "not_in_this_version" || f.Code == "unclassified_sql" {
					t.Skip(f.Code)
				}
			}
			compare(t, all[0], watch(t, c, sql))
		})
	}
	if n < 120 {
		t.Errorf("the corpus has %d statements", n)
	}
}

func compare(t *testing.T, s hazard.Statement, saw observed) {
	declared := map[spec.Table]hazard.Mode{}
	for _, l := range s.Locks {
		table := l.Table
		if l.Behind {
			table = saw.tableOf[l.Table]
		}
		declared[table] = max(declared[table], l.Mode)
	}
	strongest := s.Strongest().Mode
	for _, table := range slices.SortedFunc(maps.Keys(saw.locks), func(a, b spec.Table) int { return strings.Compare(a.String(), b.String()) }) {
		mode, named := declared[table]
		if !named && s.Related {
			mode = strongest
		}
		if seen := saw.locks[table]; seen > mode {
			t.Errorf("%s on %s was seen, %q declared", seen, table, mode)
		}
	}
	if saw.strength != strongest {
		t.Errorf("the strongest lock seen is %q, declared %q", saw.strength, strongest)
	}
	for _, table := range saw.files {
		isIndex := saw.tableOf[table] != (spec.Table{})
		cascades := strings.Contains(s.Text, "cascade") && len(s.Rewrites) > 0
		if !slices.Contains(s.Rewrites, table) && !isIndex && !cascades {
			t.Errorf("%s was written anew, declared are %v", table, s.Rewrites)
		}
	}
}

const relationsSQL = `
select n.nspname, c.relname, c.oid::int8, case when c.relkind <> 'S' then coalesce(pg_relation_filenode(c.oid), 0) else 0 end::int8, coalesce(tn.nspname, ''), coalesce(tc.relname, '')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indexrelid = c.oid
left join pg_class tc on tc.oid = i.indrelid left join pg_namespace tn on tn.oid = tc.relnamespace
where n.nspname in ('public', 'app')
union all
select n.nspname, x.stxname, -x.oid::int8, 0, tn.nspname, tc.relname
from pg_statistic_ext x join pg_namespace n on n.oid = x.stxnamespace
join pg_class tc on tc.oid = x.stxrelid join pg_namespace tn on tn.oid = tc.relnamespace`

type relation struct {
	name spec.Table
	file int64
	of   spec.Table
}

func relations(ctx context.Context, tx pgx.Tx) (map[int64]relation, error) {
	rows, err := tx.Query(ctx, relationsSQL)
	if err != nil {
		return nil, err
	}
	all := map[int64]relation{}
	var r relation
	var oid int64
	_, err = pgx.ForEachRow(rows, []any{&r.name.Schema, &r.name.Name, &oid, &r.file, &r.of.Schema, &r.of.Name}, func() error {
		all[oid] = r
		return nil
	})
	return all, err
}

// watch runs a statement, looks, and takes it back.
func watch(t *testing.T, c *pgx.Conn, sql string) observed {
	ctx := t.Context()
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	}()
	saw, err := look(ctx, tx, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return saw
}

func look(ctx context.Context, tx pgx.Tx, sql string) (observed, error) {
	saw := observed{locks: map[spec.Table]hazard.Mode{}, tableOf: map[spec.Table]spec.Table{}}
	before, err := relations(ctx, tx)
	if err != nil {
		return saw, err
	}
	if _, err := tx.Exec(ctx, sql); err != nil {
		return saw, err
	}
	rows, err := tx.Query(ctx, "select relation::int8, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation' and granted")
	if err != nil {
		return saw, err
	}
	var oid int64
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
		r, known := before[oid]
		if !known {
			return nil
		}
		mode, err := modeNamed(name)
		saw.locks[r.name] = max(saw.locks[r.name], mode)
		saw.strength = max(saw.strength, mode)
		return err
	})
	if err != nil {
		return saw, err
	}
	after, err := relations(ctx, tx)
	if err != nil {
		return saw, err
	}
	for oid, r := range before {
		saw.tableOf[r.name] = r.of
		if now, still := after[oid]; still && now.file != r.file {
			saw.files = append(saw.files, r.name)
		}
	}
	return saw, nil
}

// modeNamed is a mode as pg_locks writes it: AccessShareLock.
func modeNamed(name string) (hazard.Mode, error) {
	for m := hazard.AccessShare; m <= hazard.AccessExclusive; m++ {
		if strings.ReplaceAll(m.String(), " ", "") == strings.ToUpper(strings.TrimSuffix(name, "Lock")) {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown lock mode %s", name)
}
