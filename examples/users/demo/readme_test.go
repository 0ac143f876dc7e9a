package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The README shows what the demo prints: the line of the spec that it names is
// that of the first operation of the change.
func TestReadmeNamesTheLineOfTheSpec(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../" + specFile)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(specFile + `:(\d+)`).FindSubmatch(readme)
	if named == nil {
		t.Fatal("the README names no line of the spec")
	}
	number, err := strconv.Atoi(string(named[1]))
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(source), `add_column "users" "first"`)
	if want := 1 + strings.Count(before, "\n"); !found || number != want {
		t.Errorf("the README names line %d, it is %d", number, want)
	}
}
