package spec_test

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

const sampleURL = "postgres://app:" + canary + "@db/app"

func sample(t *testing.T) *spec.Spec {
	t.Helper()
	return loadDir(t, "testdata/sample/supported", spec.Options{Vars: map[string]string{"database_url": sampleURL}})
}

func TestSampleLoads(t *testing.T) {
	s := sample(t)
	if len(s.Services) != 1 || len(s.Changes) != 2 {
		t.Fatalf("%d services and %d changes, want 1 and 2", len(s.Services), len(s.Changes))
	}
	users := s.Services[0]
	if users.Release == nil || users.Release != users.Lookup("2.0.0") {
		t.Errorf("Release = %v, want 2.0.0", users.Release)
	}
	if users.Strategy != s.Strategies[0] || users.Database != s.Databases[0] || users.Router != s.Routers[0] || users.Orchestrator != s.Orchestrators[0] {
		t.Error("a reference does not lead to what it names")
	}
	if got := users.Release.Schema; len(got) != 1 || got[0].Address() != "change.split_name" {
		t.Errorf("Schema = %v, want change.split_name", got)
	}
	if got := s.State.URL.Reveal(); got != sampleURL {
		t.Error("state has another URL than the variable")
	}
	if got := s.Routers[0].Agent; got != "unix:///run/pleat/agent.sock" {
		t.Errorf("Agent = %q, want the orchestrator's first", got)
	}
}

func TestStrategyAsWritten(t *testing.T) {
	want := &spec.Strategy{
		Name: "careful", Kind: spec.Rolling, Batch: spec.Batch{Percent: 25}, Order: spec.StopFirst,
		MaxStartFailures: 1, StepTimeout: 90 * time.Second,
	}
	compare(t, want, sample(t).Strategies[0])
}

func TestProcessAsWritten(t *testing.T) {
	want := []*spec.Process{{
		Name: "web", Count: 3, Command: []string{"bin/users", "-addr", "${ADDR}"}, Routed: true,
		Checks: []*spec.Check{{
			Kind: spec.CheckHTTP, Path: "/healthz", Interval: time.Second, Timeout: time.Second,
			Threshold: 3, HealthyAfter: 3 * time.Second, StartTimeout: 30 * time.Second,
		}},
		Drain: spec.DefaultDrain(),
	}}
	compare(t, want, sample(t).Services[0].Release.Processes)
}

func TestChangesAsWritten(t *testing.T) {
	s := sample(t)
	users := spec.Table{Schema: "public", Name: "users"}
	compare(t, []spec.Operation{
		&spec.CreateTable{Table: users, PrimaryKey: []string{"id"}, Columns: []spec.Column{
			{Name: "id", Type: "bigint", Identity: true},
			{Name: "name", Type: "text", NotNull: true, Default: "''"},
		}},
		&spec.CreateIndex{Name: "users_name", Table: users, Columns: []string{"(lower(name))"}, Where: "name <> ''", Method: "btree"},
		&spec.SQL{Label: "1", Up: "comment on table users is 'people'", Down: "comment on table users is null"},
		&spec.SQL{Label: "grant", Up: "grant select on users to reader"},
	}, s.Changes[0].Expand)

	forward := map[string]string{
		"first": "split_part(name, ' ', 1)",
		"last":  "nullif(substr(name, strpos(name || ' ', ' ') + 1), '')",
	}
	split := s.Changes[1]
	compare(t, []spec.Operation{
		&spec.AddColumn{Table: users, Column: spec.Column{Name: "first", Type: "text"}},
		&spec.AddColumn{Table: users, Column: spec.Column{Name: "last", Type: "text"}},
		&spec.Sync{Table: users, Forward: forward, Backward: map[string]string{"name": "concat_ws(' ', first, last)"}},
	}, split.Expand)
	compare(t, []*spec.Backfill{{Table: users, Set: forward, Batch: 5000, Workers: 1, Throttle: spec.Throttle{
		ReplicaLag: 2 * time.Second, LockWaiters: 10, Autovacuum: "wraparound",
	}}}, split.Backfills)
	compare(t, &spec.Contract{
		Operations: []spec.Operation{&spec.DropColumn{Table: users, Column: "name", Hide: 7 * 24 * time.Hour}},
		Soak:       24 * time.Hour,
		Statements: true,
	}, split.Contract)
	if split.After[0] != s.Changes[0] {
		t.Errorf("After = %v, want change.create_users", split.After)
	}
}

// compare ignores where things stand in the files.
func compare(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.IgnoreTypes(hcl.Range{}, spec.Places{}), cmpopts.EquateComparable(spec.Text{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// compareSpecs ignores the directory and the files' text as well.
func compareSpecs(t *testing.T, want, got *spec.Spec) {
	t.Helper()
	all := cmp.Exporter(func(reflect.Type) bool { return true })
	if d := cmp.Diff(want, got, all, cmpopts.IgnoreTypes(hcl.Range{}, spec.Places{}), cmpopts.IgnoreFields(spec.Spec{}, "Dir", "Sources")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

const minimal = `
orchestrator "host" "local" {
  agents = ["unix:///run/pleat/agent.sock"]
}
service "users" {
  release = "1"
  process "worker" {}
  process "web" {}
  release "1" {
    artifact {
      path   = "bin/users"
      sha256 = "5F70BF18A086007016E948B04AED3B82103A36BEA41755B6CDDFAF10ACE3C6EF"
    }
  }
}
`

func TestDefaults(t *testing.T) {
	s := load(t, minimal)
	users := s.Services[0]
	if s.State != nil || users.Database != nil || users.Router != nil {
		t.Errorf("State, Database, Router = %v, %v, %v, want none", s.State, users.Database, users.Router)
	}
	compare(t, &spec.Strategy{Kind: spec.Rolling, Order: spec.StartFirst, StepTimeout: 2 * time.Minute}, users.Strategy)
	compare(t, []*spec.Process{
		{Name: "web", Count: 1, Command: []string{"${ARTIFACT}"}, Routed: true, Drain: spec.DefaultDrain()},
		{Name: "worker", Count: 1, Command: []string{"${ARTIFACT}"}, Drain: spec.DefaultDrain()},
	}, users.Processes)
	if got := users.Release.Artifact.SHA256; got != strings.ToLower(got) {
		t.Errorf("SHA256 = %s, want lower case", got)
	}
}

func TestDefaultsOfDatabase(t *testing.T) {
	s := load(t, `
database "main" {
  url = "postgres://db/app"
}
change "a" {
  expand {
    add_column "t" "c" {
      type = "text"
    }
  }
  backfill "t" {
    set = { c = "1" }
  }
  contract {
    drop_column "t" "d" {}
  }
}
`)
	compare(t, spec.LockBudget{Timeout: 100 * time.Millisecond, Hold: 500 * time.Millisecond, Patience: 5 * time.Minute}, s.Databases[0].Lock)
	a := s.Changes[0]
	if a.Database != s.Databases[0] || a.Backfills[0].Batch != 1000 || a.Contract.Soak != 24*time.Hour {
		t.Errorf("Database %v, Batch %d, Soak %v", a.Database.Name, a.Backfills[0].Batch, a.Contract.Soak)
	}
	if got := a.Contract.Operations[0].(*spec.DropColumn).Hide; got != 7*24*time.Hour {
		t.Errorf("Hide = %v, want 7d", got)
	}
}

// TestFullSampleIsRefused asserts that the whole language, of which this
// version has a part, is refused thing by thing and never half understood.
func TestFullSampleIsRefused(t *testing.T) {
	s, diags := spec.Load("testdata/sample/full", spec.Options{Vars: map[string]string{"database_url": sampleURL}})
	var refused []string
	for _, d := range diags {
		if d.Summary == "Not supported yet" {
			refused = append(refused, string(d.Subject.SliceBytes(s.Sources[d.Subject.Filename])))
		}
	}
	want := []string{
		"environment", "environment",
	}
	compare(t, want, refused)
}

func TestForEach(t *testing.T) {
	s := load(t, `
database "east" {
  url = "postgres://east/app"
}
database "west" {
  url = "postgres://west/app"
}
state {
  url = "postgres://east/app"
}
orchestrator "host" "local" {
  agents = ["unix:///run/pleat/agent.sock"]
}
change "add_email" {
  for_each = toset(["west", "east"])
  database = database[each.key]
  expand {
    add_column "users" "email" {
      type    = "text"
      default = "'nobody@${each.value}'"
    }
  }
}
service "users" {
  for_each = { east = 1, west = 2 }
  database = database[each.key]
  release  = "1.1.0"
  process "web" {
    count = each.value
  }
  release "each" {
    for_each = { "1.0.0" = "a", "1.1.0" = "b" }
    artifact {
      path   = "bin/${each.value}"
      sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    }
  }
}
change "last" {
  database        = database.east
  after           = [change.add_email["east"], change.add_email_east]
  requires_absent = [service.users["east"].release["1.0.0"], service.users_west.release["1.0.0"]]
  expand {
    sql {
      up = "select 1"
    }
  }
}
`)
	var got []string
	for _, c := range s.Changes {
		got = append(got, string(c.Address())+" "+string(c.Database.Address()))
	}
	for _, service := range s.Services {
		for _, r := range service.Releases {
			got = append(got, string(service.Address())+"@"+r.Version+" "+r.Artifact.Path)
		}
	}
	compare(t, []string{
		"change.add_email_east database.east", "change.add_email_west database.west", "change.last database.east",
		"service.users_east@1.0.0 bin/a", "service.users_east@1.1.0 bin/b",
		"service.users_west@1.0.0 bin/a", "service.users_west@1.1.0 bin/b",
	}, got)
	last := s.Changes[2]
	if len(last.After) != 1 || last.After[0] != s.Changes[0] {
		t.Errorf("After = %v, want change.add_email_east once", last.After)
	}
	absent := []*spec.Release{s.Services[0].Lookup("1.0.0"), s.Services[1].Lookup("1.0.0")}
	if !slices.Equal(last.RequiresAbsent, absent) {
		t.Errorf("RequiresAbsent = %v, want 1.0.0 of both services", last.RequiresAbsent)
	}
	if got := s.Services[1].Processes[0].Count; got != 2 {
		t.Errorf("Count = %d, want 2", got)
	}
}

func TestReleaseOverrides(t *testing.T) {
	s := load(t, `
orchestrator "host" "local" {
  agents = ["unix:///run/pleat/agent.sock"]
}
service "users" {
  release = "1"
  process "web" {
    env = { A = "process", B = "process" }
  }
  process "worker" {}
  release "1" {
    artifact {
      path   = "bin/users"
      sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    }
    processes = ["web"]
    process "web" {
      command = ["bin/old"]
      env     = { B = "release", C = null }
    }
  }
}
`)
	users := s.Services[0]
	if len(users.Release.Processes) != 1 {
		t.Fatalf("%d processes, want web alone", len(users.Release.Processes))
	}
	web := users.Release.Processes[0]
	compare(t, []string{"bin/old"}, web.Command)
	got := map[string]string{}
	for k, v := range web.Env {
		got[k] = v.String()
	}
	compare(t, map[string]string{"A": "process", "B": "release"}, got)
	if got := users.Processes[0].Env["B"].String(); got != "process" {
		t.Errorf("the service's own B = %s, want process", got)
	}
}

// TestLayoutDoesNotMatter moves the blocks of a spec to other files and
// expects the same Spec.
func TestLayoutDoesNotMatter(t *testing.T) {
	sample := map[string]string{"main.pleat.hcl": string(read(t, "testdata/sample/supported/sample.pleat.hcl"))}
	layoutDoesNotMatter(t, sample, spec.Options{Vars: map[string]string{"database_url": sampleURL}})
	layoutDoesNotMatter(t, deployedFiles(), spec.Options{})
}

func layoutDoesNotMatter(t *testing.T, files map[string]string, options spec.Options) {
	t.Helper()
	one := loadDir(t, directory(t, files), options)
	blocks := strings.SplitAfter(files["main.pleat.hcl"], "\n}\n")
	delete(files, "main.pleat.hcl")
	for i, b := range blocks {
		files[string(rune('z'-i))+".pleat.hcl"] = b
	}
	compareSpecs(t, one, loadDir(t, directory(t, files), options))
}

func TestMissingDirectory(t *testing.T) {
	s, diags := spec.Load(filepath.Join(t.TempDir(), "missing"), spec.Options{})
	if got := strings.Join(strings.Fields(render(t, s.Sources, diags)), " "); !strings.Contains(got, "no such file or directory") {
		t.Errorf("Load says:\n%s", got)
	}
}

func TestFileTooLarge(t *testing.T) {
	s, diags := spec.Load(directory(t, map[string]string{"a.pleat.hcl": strings.Repeat("#\n", 1<<19) + "#"}), spec.Options{})
	if got := render(t, s.Sources, diags); !strings.Contains(got, "a.pleat.hcl: larger than 1 MiB") {
		t.Errorf("Load says:\n%s", got)
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := directory(t, map[string]string{"binary.pleat.hcl": "\x7fELF\x00\x1b[31m"})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.pleat.hcl"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, diags := spec.Load(dir, spec.Options{})
	got := render(t, s.Sources, diags)
	for _, want := range []string{"binary.pleat.hcl: no text: it has a zero byte.", "pipe.pleat.hcl: no plain file."} {
		if !strings.Contains(got, want) {
			t.Errorf("Load does not say %q:\n%s", want, got)
		}
	}
}

func TestHeredocTooLong(t *testing.T) {
	src := "locals {\n  a = <<EOT\n" + strings.Repeat("x\n", 10_001) + "EOT\n}\n"
	s, diags := spec.Load(directory(t, map[string]string{"a.pleat.hcl": src}), spec.Options{})
	if got := render(t, s.Sources, diags); !strings.Contains(got, "Heredocs too long") {
		t.Errorf("Load says:\n%s", got)
	}
}
