package spec_test

import (
	"path/filepath"
	"strings"
	"testing"

	"pleat/spec"
)

const roleOf = `
variable "role" {
  type    = string
  default = "default"
}
database "main" {
  url  = "postgres://db/app"
  role = var.role
}
`

// TestPrecedence gives a variable from every source and takes them away one
// by one.
func TestPrecedence(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.pleat.hcl": roleOf,
		"one.vars":    `role = "one"`,
		"two.vars":    `role = "two"`,
	})
	one, two := filepath.Join(dir, "one.vars"), filepath.Join(dir, "two.vars")
	environ := []string{"PLEAT_VAR_role=environ", "PLEAT_VAR_unknown=1", "role=never"}
	tests := []struct {
		name    string
		options spec.Options
		want    string
	}{
		{"all", spec.Options{Environ: environ, VarFiles: []string{one, two}, Vars: map[string]string{"role": "flag"}}, "flag"},
		{"files", spec.Options{Environ: environ, VarFiles: []string{one, two}}, "two"},
		{"files in order", spec.Options{Environ: environ, VarFiles: []string{two, one}}, "one"},
		{"environment", spec.Options{Environ: environ}, "environ"},
		{"default", spec.Options{}, "default"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := loadDir(t, dir, test.options).Databases[0].Role; got != test.want {
				t.Errorf("role = %s, want %s", got, test.want)
			}
		})
	}
}

func TestRawValues(t *testing.T) {
	tests := []struct{ kind, raw, expr, want string }{
		{"string", `a "b" ${c}`, "var.v", `a "b" ${c}`},
		{"number", "12", "var.v + 1", "13"},
		{"bool", "true", "var.v ? 1 : 2", "1"},
		{"list(string)", `["a", "b"]`, `join("-", var.v)`, "a-b"},
		{"map(number)", `{ a = 1 }`, "var.v.a", "1"},
		{"object({ a = optional(string, \"x\") })", `{}`, "var.v.a", "x"},
		{"any", "[1]", "var.v", "[1]"},
	}
	for _, test := range tests {
		t.Run(test.kind, func(t *testing.T) {
			dir := directory(t, map[string]string{"a.pleat.hcl": `
variable "v" {
  type = ` + test.kind + `
}
database "main" {
  url  = "postgres://db/app"
  role = ` + test.expr + `
}
`})
			s := loadDir(t, dir, spec.Options{Vars: map[string]string{"v": test.raw}})
			if got := s.Databases[0].Role; got != test.want {
				t.Errorf("%s = %s, want %s", test.expr, got, test.want)
			}
		})
	}
}

func TestVariableFileProblems(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"unknown name", "rloe = \"" + canary + "\"\n", "Did you mean role?"},
		{"syntax", "role = \"" + canary + "\n", "bad.vars:1"},
		{"computed", "role = upper(\"" + canary + "\")\n", "calls no functions"},
		{"block", "role {\n}\n", "NAME = VALUE"},
		{"type", "role = [\"" + canary + "\"]\n", "not a string"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := directory(t, map[string]string{"a.pleat.hcl": roleOf, "bad.vars": test.content})
			s, diags := spec.Load(dir, spec.Options{VarFiles: []string{filepath.Join(dir, "bad.vars")}})
			got := render(t, s.Sources, diags)
			if !strings.Contains(got, test.want) {
				t.Errorf("Load says:\n%s\nwant %q", got, test.want)
			}
			if strings.Contains(got, canary) {
				t.Errorf("a line of the file is shown:\n%s", got)
			}
		})
	}
}

func TestVariableFileMissing(t *testing.T) {
	dir := directory(t, map[string]string{"a.pleat.hcl": roleOf})
	s, diags := spec.Load(dir, spec.Options{VarFiles: []string{"missing.vars"}})
	if got := render(t, s.Sources, diags); !strings.Contains(got, "missing.vars: no such file or directory") {
		t.Errorf("Load says:\n%s", got)
	}
}

func TestAVariableInCapitalsIsNamed(t *testing.T) {
	dir := directory(t, map[string]string{"a.pleat.hcl": "variable \"role\" {\n  type = string\n}\n"})
	for environ, want := range map[string]bool{"PLEAT_VAR_ROLE=" + canary: true, "ROLE=x": false, "PLEAT_VAR_OTHER=x": false} {
		s, diags := spec.Load(dir, spec.Options{Environ: []string{environ}})
		got := strings.Join(strings.Fields(render(t, s.Sources, diags)), " ")
		if strings.Contains(got, "What it has is PLEAT_VAR_ROLE: capitals are told from small letters.") != want || strings.Contains(got, canary) {
			t.Errorf("with %s Load says:\n%s", environ, got)
		}
	}
}
