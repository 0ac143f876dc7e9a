package spec_test

import (
	"os"
	"path/filepath"
	"testing"

	"pleat/spec"
)

func TestRedactBlanksEverySecretAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	source := `
variable "url" {
  type      = string
  sensitive = true
}
database "main" {
  url = var.url
}
`
	if err := os.WriteFile(filepath.Join(dir, "a.pleat.hcl"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	sp, diags := spec.Load(dir, spec.Options{Vars: map[string]string{"url": "postgres://u:p%40ss%2Fword@h/d"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for text, want := range map[string]string{
		"all is well at h/d":                          "all is well at h/d",
		"dialing postgres://u:p%40ss%2Fword@h/d?x=1":  "dialing postgres://u:(sensitive)@h/d?x=1",
		"postgres://u:p%40ss%2Fword@other":            "postgres://u:(sensitive)@other",
		"password=p@ss/word and p@ss/word once more":  "password=(sensitive) and (sensitive) once more",
		"as one writes it by hand: u:p@ss%2Fword@h/d": "as one writes it by hand: u:(sensitive)@h/d",
	} {
		if got := sp.Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
}
