package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pleat/spec"
)

// TestFunctions lists what a spec can call. Whoever adds one makes sure that
// it has no clock, randomness, environment or network, and that it cannot
// make much out of little.
func TestFunctions(t *testing.T) {
	want := strings.Fields(`abs can ceil chomp chunklist coalesce coalescelist compact concat contains distinct
		element file filesha256 flatten floor format formatlist indent join jsondecode jsonencode keys length log
		lookup lower max merge min parseint pow range regex regexall regexreplace replace reverse setintersection
		setsubtract setunion signum slice sort split strlen strrev substr title tobool tolist tomap tonumber toset
		tostring trim trimprefix trimspace trimsuffix try upper values zipmap`)
	compare(t, want, spec.FunctionNames())
}

// value evaluates an expression in a directory.
func value(t *testing.T, dir, expr string) (string, string) {
	t.Helper()
	write(t, filepath.Join(dir, "a.pleat.hcl"), `
database "main" {
  url  = "postgres://db/app"
  role = `+expr+`
}
`)
	s, diags := spec.Load(dir, spec.Options{Environ: os.Environ()})
	if diags.HasErrors() {
		return "", render(t, s.Sources, diags)
	}
	return s.Databases[0].Role, ""
}

func TestFunctionValues(t *testing.T) {
	dir := directory(t, map[string]string{"sub/hello": "hello"})
	tests := []struct{ expr, want string }{
		{`upper("a")`, "A"},
		{`join("-", sort(distinct(concat(["b", "a"], ["a"]))))`, "a-b"},
		{`format("%03d", max(1, 7))`, "007"},
		{`lookup(merge({ a = "1" }, { b = "2" }), "b", "3")`, "2"},
		{`try(jsondecode("{").a, "fallback")`, "fallback"},
		{`can(tonumber("x")) ? "yes" : "no"`, "no"},
		{`replace("a-b", "-", "_")`, "a_b"},
		{`regex("[0-9]+", "a12")`, "12"},
		{`file("sub/hello")`, "hello"},
		{`substr(filesha256("sub/hello"), 0, 8)`, "2cf24dba"},
		{`join("", [for i in range(3) : tostring(i)])`, "012"},
	}
	for _, test := range tests {
		if got, problem := value(t, dir, test.expr); got != test.want {
			t.Errorf("%s = %q, want %q\n%s", test.expr, got, test.want, problem)
		}
	}
}

func TestFilesStayInTheDirectory(t *testing.T) {
	outside := directory(t, map[string]string{"secret": canary})
	dir := t.TempDir()
	for name, target := range map[string]string{"absolute": filepath.Join(outside, "secret"), "dir": outside} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	relative, err := filepath.Rel(dir, filepath.Join(outside, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	const link, path = "a symlink on the way to it leads out of the spec's directory", "leads out of the spec's directory"
	for at, want := range map[string]string{"absolute": link, "dir/secret": link, relative: path, filepath.Join(outside, "secret"): path, "sub/../../x": path} {
		for _, f := range []string{"file", "filesha256"} {
			got, problem := value(t, dir, f+`("`+at+`")`)
			if !strings.Contains(strings.Join(strings.Fields(problem), " "), want) || strings.Contains(problem, canary) {
				t.Errorf("%s(%q) = %q\n%s", f, at, got, problem)
			}
		}
	}
}

func TestFileTooLargeForAFunction(t *testing.T) {
	dir := directory(t, map[string]string{"large": strings.Repeat("x", 1<<20+1)})
	if _, problem := value(t, dir, `file("large")`); !strings.Contains(problem, "larger than 1 MiB") {
		t.Errorf("file says:\n%s", problem)
	}
	if _, problem := value(t, dir, `substr(filesha256("large"), 0, 4)`); problem != "" {
		t.Errorf("filesha256 says:\n%s", problem)
	}
}

// TestTryWithinTry would take hours if every call evaluated its argument
// twice.
func TestTryWithinTry(t *testing.T) {
	expr := strings.Repeat("try(", 50) + `"x"` + strings.Repeat(")", 50)
	if got, problem := value(t, t.TempDir(), expr); got != "x" {
		t.Errorf("%s", problem)
	}
}
