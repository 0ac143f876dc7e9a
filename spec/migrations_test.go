package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pleat/spec"
)

// deployed is a spec around golang-migrate directories: two databases, two
// services, and what each of them needs besides.
const deployed = `
database "main" {
  url = "postgres://db/main"
}
database "audit" {
  url = "postgres://db/audit"
}
state {
  url = "postgres://db/main"
}
orchestrator "host" "local" {
  agents = ["unix:///run/pleat/agent.sock"]
}
router "proxy" "edge" {
  listen = ":8080"
}
migrations "core" {
  database = database.main
  source   = "file://./db/core"
  version  = 2
}
migrations "audit" {
  database = database.audit
  source   = "db/audit"
  table    = "ops.versions"
}
strategy "still" {
  offline {
    same_version = true
  }
}
strategy "warm" {
  all_at_once {}
  keep_previous = "30m"
}
service "api" {
  database      = database.main
  also_uses     = [database.audit]
  after         = [service.worker]
  router        = router.proxy.edge
  strategy      = strategy.warm
  keep_rollback = "24h"
  release       = "2"
  process "web" {}
  release "each" {
    for_each = {
      "1" = { below = 3, min = null, max = null, ships = null }
      "2" = { min = 1, max = 2, ships = 2, below = null }
    }
    artifact {
      path   = "bin/api-${each.key}"
      sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    }
    schema        = [change.ledger]
    required_stop = each.key == "1"
    schema_version {
      migrations = migrations.core
      min        = each.value.min
      max        = each.value.max
      below      = each.value.below
      ships      = each.value.ships
    }
  }
}
service "worker" {
  database = database.main
  strategy = strategy.still
  release  = "1"
  process "run" {}
  release "1" {
    artifact {
      path   = "bin/worker"
      sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    }
    migrate_on_start = true
    schema_version {
      min = 2
    }
  }
}
change "ledger" {
  database = database.audit
  expand {
    sql {
      up = "select 1"
    }
  }
}
`

func deployedFiles() map[string]string {
	return map[string]string{
		"main.pleat.hcl":                           deployed,
		"db/core/000001_create_users.up.sql":       "create table users ();",
		"db/core/000001_create_users.down.sql":     "drop table users;",
		"db/core/000002_add_interval.up.sql":       "alter table users add interval int;",
		"db/core/000002_add_interval.down.sql":     " \n",
		"db/core/000003_later.up.sql":              "select 3;",
		"db/core/000004_only.down.sql":             "select 4;",
		"db/core/README.md":                        "not a migration",
		"db/core/000005_directory.up.sql/x.sql":    "not a migration either",
		"db/audit/18446744073709551615_max.up.sql": "select 1;",
	}
}

func TestMigrationsAsWritten(t *testing.T) {
	s := loadDir(t, directory(t, deployedFiles()), spec.Options{})
	compare(t, []*spec.Migrations{
		{
			Name: "audit", Database: s.Databases[0], Source: "db/audit", Version: 18446744073709551615,
			Table: spec.Table{Schema: "ops", Name: "versions"},
			Files: []spec.Migration{{Version: 18446744073709551615, Name: "max", File: "db/audit/18446744073709551615_max.up.sql", Up: "select 1;"}},
		},
		{
			Name: "core", Database: s.Databases[1], Source: "db/core", Version: 2,
			Table: spec.Table{Schema: "public", Name: "schema_migrations"},
			Files: []spec.Migration{
				{Version: 1, Name: "create_users", File: "db/core/000001_create_users.up.sql", Up: "create table users ();", Down: "drop table users;"},
				{Version: 2, Name: "add_interval", File: "db/core/000002_add_interval.up.sql", Up: "alter table users add interval int;"},
				{Version: 3, Name: "later", File: "db/core/000003_later.up.sql", Up: "select 3;"},
			},
		},
	}, s.Migrations)
}

func TestSchemaVersionsAsWritten(t *testing.T) {
	s := loadDir(t, directory(t, deployedFiles()), spec.Options{})
	core, api, worker := s.Migrations[1], s.Services[0], s.Services[1]
	one, two, run := api.Lookup("1"), api.Lookup("2"), worker.Lookup("1")
	compare(t, []spec.VersionRange{{Migrations: core, Max: 2}}, one.SchemaVersions)
	compare(t, []spec.VersionRange{{Migrations: core, Min: 1, Max: 2, Ships: 2}}, two.SchemaVersions)
	compare(t, []spec.VersionRange{{Migrations: core, Min: 2, Ships: 3}}, run.SchemaVersions)
	if !one.RequiredStop || two.RequiredStop || !run.MigrateOnStart || two.MigrateOnStart {
		t.Errorf("RequiredStop %v, %v; MigrateOnStart %v, %v", one.RequiredStop, two.RequiredStop, run.MigrateOnStart, two.MigrateOnStart)
	}
}

func TestServiceAndStrategyAsWritten(t *testing.T) {
	s := loadDir(t, directory(t, deployedFiles()), spec.Options{})
	api, worker := s.Services[0], s.Services[1]
	compare(t, []*spec.Database{s.Databases[1], s.Databases[0]}, api.Uses())
	if len(api.After) != 1 || api.After[0] != worker || api.KeepRollback != 24*time.Hour || worker.KeepRollback != 0 {
		t.Errorf("After = %v, KeepRollback = %v and %v", api.After, api.KeepRollback, worker.KeepRollback)
	}
	compare(t, &spec.Strategy{Name: "still", Kind: spec.Offline, SameVersion: true, StepTimeout: 2 * time.Minute}, worker.Strategy)
	compare(t, &spec.Strategy{Name: "warm", Kind: spec.AllAtOnce, KeepPrevious: 30 * time.Minute, StepTimeout: 2 * time.Minute}, api.Strategy)
}

func TestUnreadableMigrations(t *testing.T) {
	tests := []struct {
		name string
		file string
		text string
		want string
	}{
		{"too large", "db/core/000009_big.up.sql", strings.Repeat("-", 1<<20+1), "db/core/000009_big.up.sql: larger than 1 MiB"},
		{"not UTF-8", "db/core/000009_latin.up.sql", "\xff", "db/core/000009_latin.up.sql: not text in UTF-8"},
		{"NUL byte", "db/core/000003_later.down.sql", "a\x00", "db/core/000003_later.down.sql: not text in UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := deployedFiles()
			files[test.file] = test.text
			refused(t, directory(t, files), test.want)
		})
	}
}

// TestMigrationsOutside leads out of the spec's directory by links.
func TestMigrationsOutside(t *testing.T) {
	outside := directory(t, map[string]string{"000009_secret.up.sql": "select 'secret';"})
	dir := directory(t, deployedFiles())
	if err := os.Symlink(filepath.Join(outside, "000009_secret.up.sql"), filepath.Join(dir, "db/core/000009_secret.up.sql")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "db/audit")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "db/audit")); err != nil {
		t.Fatal(err)
	}
	const why = ": a symlink on the way to it leads out of the spec's directory, or is an absolute one"
	refused(t, dir, "db/core/000009_secret.up.sql"+why, "db/audit"+why)
}

// A spec file that is a link says what it may lead to.
func TestSpecFileOutside(t *testing.T) {
	dir, outside := t.TempDir(), directory(t, map[string]string{"main.pleat.hcl": ""})
	within := directory(t, map[string]string{"real": ""})
	for link, to := range map[string]string{
		filepath.Join(dir, "main.pleat.hcl"):        filepath.Join(outside, "main.pleat.hcl"),
		filepath.Join(within, "absolute.pleat.hcl"): filepath.Join(within, "real"),
		filepath.Join(within, "relative.pleat.hcl"): "real",
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	const why = ": a symlink on the way to it leads out of the spec's directory, or is an absolute one"
	refused(t, dir, "main.pleat.hcl"+why, "link to it there by a relative path")
	refused(t, within, "absolute.pleat.hcl"+why)
	if _, diags := spec.Load(within, spec.Options{}); len(diags) != 1 {
		t.Errorf("the relative one within is refused: %v", diags)
	}
}

func TestShipsOfReleaseThatMigratesOnStart(t *testing.T) {
	files := deployedFiles()
	files["main.pleat.hcl"] = strings.Replace(deployed, "      min = 2\n", "      ships = 2\n", 1)
	s := loadDir(t, directory(t, files), spec.Options{})
	compare(t, []spec.VersionRange{{Migrations: s.Migrations[1], Ships: 2}}, s.Services[1].Lookup("1").SchemaVersions)
}

// refused expects errors that contain each of the texts.
func refused(t *testing.T, dir string, want ...string) {
	t.Helper()
	s, diags := spec.Load(dir, spec.Options{})
	got := strings.Join(strings.Fields(render(t, s.Sources, diags)), " ")
	for _, text := range want {
		if !diags.HasErrors() || !strings.Contains(got, text) {
			t.Errorf("Load says:\n%s\nwant %s", got, text)
		}
	}
}

// TestSeveralRangesAreLegal asserts that what deserves a warning loads.
func TestSeveralRangesAreLegal(t *testing.T) {
	files := deployedFiles()
	files["main.pleat.hcl"] = strings.Replace(deployed, "    schema_version {\n      min = 2\n", "    schema_version {\n      max = 1\n    }\n    schema_version {\n      min = 2\n", 1)
	s, diags := spec.Load(directory(t, files), spec.Options{})
	if len(diags) != 1 || diags.HasErrors() || diags[0].Summary != "Several ranges of one directory" {
		t.Fatalf("Load says:\n%s", render(t, s.Sources, diags))
	}
	core, run := s.Migrations[1], s.Services[1].Lookup("1")
	compare(t, []spec.VersionRange{{Migrations: core, Max: 1, Ships: 1}, {Migrations: core, Min: 2, Ships: 3}}, run.SchemaVersions)
}
