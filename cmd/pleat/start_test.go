package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Each piece of a spec in docs/start.md is one of the script that carries it out.
func TestTheGuideIsTried(t *testing.T) {
	guide, err := os.ReadFile("../../docs/start.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := txtar.ParseFile("../../testdata/script/start.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range script.Files {
		files[f.Name] = string(f.Data)
	}
	pieces := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	if len(pieces) != 3 {
		t.Fatalf("the guide has %d pieces of a spec, and three are tried", len(pieces))
	}
	spec, change, release := pieces[0][1], pieces[1][1], pieces[2][1]
	if files["shop.pleat.hcl"] != spec || files["change"] != change {
		t.Error("the script has another spec, or another change, than the guide")
	}
	if !strings.Contains(files["next"], release) {
		t.Error("the script has another release than the guide")
	}
}
