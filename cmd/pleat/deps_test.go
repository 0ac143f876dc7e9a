package main

import (
	"encoding/json"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// layer says what a package and those below it may import of pleat, and why
// nothing else.
type layer struct {
	pkg string
	may []string
	why string
}

// layers is design.md §10. The first that matches a package counts.
var layers = []layer{
	{"pleat/spec", nil, "the language knows nothing of what is done with it"},
	{"pleat/migrations/bookkeeping", []string{"pleat/spec", "pleat/migrations", "pleat/migrations/conn"}, "pleat's own tables need a connection and nothing else"},
	{"pleat/migrations/conn", []string{"pleat/spec", "pleat/migrations"}, "how to connect is below everything that does"},
	{"pleat/migrations/hazard", []string{"pleat/spec"}, "reading SQL needs nothing but the SQL"},
	{"pleat/migrations", []string{"pleat/spec", "pleat/migrations/hazard"}, "lowering a change does no I/O"},
	{"pleat/planner/strategy", []string{"pleat/spec"}, "an order of counts and names"},
	{"pleat/planner", []string{"pleat/spec", "pleat/migrations", "pleat/migrations/hazard", "pleat/planner/strategy"}, "the planner is pure"},
	{"pleat/executor/crash", nil, "anything may have a crash point"},
	{"pleat/executor", []string{"pleat/spec", "pleat/migrations", "pleat/migrations/conn", "pleat/migrations/bookkeeping", "pleat/planner", "pleat/executor"}, "the executor names no provider"},
	{"pleat/providers/postgres/pgtest", nil, "a test cluster knows nothing of pleat"},
	{"pleat/providers", []string{"pleat/spec", "pleat/migrations", "pleat/migrations/conn", "pleat/migrations/hazard", "pleat/planner", "pleat/providers"}, "a provider knows the plan, never the executor's insides"},
	{"pleat/examples", []string{"pleat/examples", "pleat/providers/postgres/pgtest"}, "an example uses pleat as its users do"},
	{"pleat/cmd", []string{"pleat"}, ""},
}

type goPackage struct {
	ImportPath string
	Dir        string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports", "pleat/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p goPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func within(pkg, parent string) bool { return pkg == parent || strings.HasPrefix(pkg, parent+"/") }

// Imports run one way.
func TestImportDirections(t *testing.T) {
	for _, p := range packages(t) {
		l := layerOf(t, p.ImportPath)
		for _, i := range p.Imports {
			if within(i, "pleat") && !allowed(l, i) {
				t.Errorf("%s imports %s: %s", p.ImportPath, i, l.why)
			}
		}
	}
}

func layerOf(t *testing.T, pkg string) layer {
	for _, l := range layers {
		if within(pkg, l.pkg) {
			return l
		}
	}
	t.Fatalf("%s is in no layer", pkg)
	return layer{}
}

// allowed looks a package up by its full path; only where a layer names a
// whole tree (cmd, examples, providers, executor) what is below it counts too.
func allowed(l layer, pkg string) bool {
	for _, m := range l.may {
		tree := m == "pleat" || m == "pleat/examples" || m == "pleat/providers" || m == "pleat/executor"
		if pkg == m || tree && within(pkg, m) {
			return true
		}
	}
	return within(pkg, l.pkg)
}

// Only what talks to Postgres itself imports its driver, and nothing goes
// through database/sql, which runs a lost statement twice.
func TestWhoTalksToPostgres(t *testing.T) {
	drivers := []string{"pleat/migrations/conn", "pleat/migrations/bookkeeping", "pleat/providers/postgres", "pleat/executor/journal", "pleat/executor/lease", "pleat/examples"}
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			if i == "database/sql" {
				t.Errorf("%s imports database/sql", p.ImportPath)
			}
			if within(i, "github.com/jackc/pgx/v5") && !anyWithin(p.ImportPath, drivers) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}

func anyWithin(pkg string, parents []string) bool {
	for _, parent := range parents {
		if within(pkg, parent) {
			return true
		}
	}
	return false
}

// Every exported name says what its caller can rely on.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range undocumented(t, p.Dir) {
			t.Errorf("%s: %s has no comment", p.ImportPath, name)
		}
	}
}

func undocumented(t *testing.T, dir string) []string {
	files := token.NewFileSet()
	var parsed []*ast.File
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	pkg, err := doc.NewFromFiles(files, parsed, "pleat")
	if err != nil {
		t.Fatal(err)
	}
	return bare(pkg)
}

func bare(pkg *doc.Package) []string {
	var out []string
	if pkg.Doc == "" {
		out = append(out, "the package")
	}
	funcs := func(of string, list []*doc.Func) {
		for _, f := range list {
			if f.Doc == "" && !ordinary[f.Name] {
				out = append(out, of+f.Name)
			}
		}
	}
	funcs("", pkg.Funcs)
	for _, t := range pkg.Types {
		if t.Doc == "" {
			out = append(out, t.Name)
		}
		funcs(t.Name+".", t.Funcs)
		funcs(t.Name+".", t.Methods)
	}
	return out
}

// ordinary are methods whose contract is that of the interface they satisfy.
var ordinary = map[string]bool{"Error": true, "Unwrap": true, "String": true}

// Nothing in the tree names the place where it was checked out.
func TestNoMachinePaths(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "-C", root, "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(out)) {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // deleted, not committed yet
		}
		if strings.Contains(string(b), root+"/") {
			t.Errorf("%s names %s", name, root)
		}
	}
}
