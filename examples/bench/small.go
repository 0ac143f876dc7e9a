package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	repeats = 15  // of what takes milliseconds
	many    = 200 // tables, and files of a directory
)

// noop applies a spec that is there already. pleat's own time is what its
// process used of the processors; the rest of its wall time is the server's.
func (b *bench) noop(ctx context.Context) error {
	spec := header + table("users")
	return b.emptied(ctx, func(d database) error {
		if _, err := b.apply(ctx, d, spec); err != nil {
			return err
		}
		all, err := again(func() (usage, error) { return b.apply(ctx, d, spec) })
		if err != nil {
			return err
		}
		b.figure("noop_apply_ms", median(each(all, usage.cpuTime)), "CPU-ms")
		b.figure("noop_apply_wall_ms", median(each(all, usage.wallTime)), "ms")
		return nil
	})
}

func again(f func() (usage, error)) ([]usage, error) {
	var all []usage
	for range repeats {
		u, err := f()
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

func (u usage) cpuTime() float64  { return milliseconds(u.cpu) }
func (u usage) wallTime() float64 { return milliseconds(u.wall) }

// table is a change that makes one.
func table(name string) string {
	return fmt.Sprintf(`
change "create_%[1]s" {
  expand {
    create_table "%[1]s" {
      primary_key = ["id"]
      column "id" {
        type     = "bigint"
        identity = true
      }
      column "name" {
        type = "text"
        null = false
      }
    }
  }
}
`, name)
}

// plan plans a spec of many tables that are all there.
func (b *bench) plan(ctx context.Context) error {
	spec := header
	for n := range many {
		spec += table(fmt.Sprintf("t%03d", n))
	}
	return b.emptied(ctx, func(d database) error {
		first, err := b.apply(ctx, d, spec)
		if err != nil {
			return err
		}
		b.figure("apply_200_tables_s", first.wall.Seconds(), "s")
		all, err := again(func() (usage, error) { return b.pleat(ctx, d, spec, "plan", "--detailed-exitcode") })
		if err != nil {
			return err
		}
		b.figure("plan_200_tables_ms", median(each(all, usage.wallTime)), "ms")
		b.figure("plan_200_tables_cpu_ms", median(each(all, usage.cpuTime)), "CPU-ms")
		return nil
	})
}

// migrateFiles runs a directory of small files, whole processes, on empty
// databases.
func (b *bench) migrateFiles(ctx context.Context) error {
	files, err := b.writeFiles()
	if err != nil {
		return err
	}
	if b.options.migrate == "" {
		b.leftOut("migrate_vs_golang_migrate", "no golang-migrate")
	}
	var ours, theirs, ratios []float64
	for range max(b.rounds, 5) {
		us, err := b.migrateOnce(ctx, func(d database) (usage, error) { return b.applyFiles(ctx, d, files) })
		if err != nil {
			return err
		}
		ours = append(ours, us.Seconds())
		if b.options.migrate == "" {
			continue
		}
		them, err := b.migrateOnce(ctx, func(d database) (usage, error) {
			u, _, err := process(ctx, b.dir, nil, b.options.migrate, "-path", files, "-database", "pgx5"+strings.TrimPrefix(d.url, "postgres"), "up")
			return u, err
		})
		if err != nil {
			return err
		}
		theirs = append(theirs, them.Seconds())
		ratios = append(ratios, us.Seconds()/them.Seconds())
	}
	b.figure("migrate_200_files_s", median(ours), "s")
	if len(ratios) > 0 {
		b.figure("golang_migrate_200_files_s", median(theirs), "s")
		b.figure("migrate_vs_golang_migrate", median(ratios), "ratio")
	}
	return nil
}

func (b *bench) writeFiles() (string, error) {
	dir := filepath.Join(b.dir, "files")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for n := 1; n <= many; n++ {
		file := filepath.Join(dir, fmt.Sprintf("%06d_t%03d.up.sql", n, n))
		sql := fmt.Sprintf("create table t%03d (id bigint primary key, name text not null);\n", n)
		if err := os.WriteFile(file, []byte(sql), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// applyFiles has the files in the spec's directory: a source lies within.
func (b *bench) applyFiles(ctx context.Context, d database, files string) (usage, error) {
	if err := os.MkdirAll(filepath.Join(b.dir, d.name), 0o700); err != nil {
		return usage{}, err
	}
	if err := os.CopyFS(filepath.Join(b.dir, d.name, "files"), os.DirFS(files)); err != nil {
		return usage{}, err
	}
	return b.apply(ctx, d, header+"\nmigrations \"files\" {\n  source = \"files\"\n}\n")
}

// migrateOnce is how long the directory takes; that not all of it was run is
// an error.
func (b *bench) migrateOnce(ctx context.Context, run func(database) (usage, error)) (took time.Duration, err error) {
	err = b.emptied(ctx, func(d database) error {
		u, err := run(d)
		if err != nil {
			return err
		}
		took = u.wall
		n, err := value(ctx, d.url, "select version from schema_migrations where not dirty")
		if err == nil && n != many {
			err = fmt.Errorf("the version is %d, not %d", n, many)
		}
		return err
	})
	return took, err
}
