package postgres_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pleat/spec"
)

// Every operation that the language has is proved by TestEveryOperation, in
// each block of a change in which an author may write it. What there is the code
// says: the types of the sealed set, and the reference of the language, which is
// made from the decoder's tables.
func TestEveryOperationHasARow(t *testing.T) {
	proved := map[string]bool{}
	for _, o := range operations(t) {
		for _, op := range o.change.Expand {
			proved["expand "+typeName(op)] = true
		}
		if o.change.Contract == nil {
			continue
		}
		for _, op := range o.change.Contract.Operations {
			proved["contract "+typeName(op)] = true
		}
	}
	for _, name := range operationTypes(t) {
		if !proved["expand "+name] && !proved["contract "+name] {
			t.Errorf("no row of TestEveryOperation has a spec.%s", name)
		}
	}
	for _, place := range places(t) {
		if !proved[place] {
			t.Errorf("no row of TestEveryOperation has it there: %s", place)
		}
	}
}

func typeName(op spec.Operation) string { return reflect.TypeOf(op).Elem().Name() }

// operationTypes are the types of package spec that are operations: whatever has
// the method that seals the set.
func operationTypes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../spec/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "operation" {
				if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
					names = append(names, star.X.(*ast.Ident).Name)
				}
			}
		}
	}
	if len(names) == 0 {
		t.Fatal("found no operation in package spec")
	}
	return names
}

// places are the operations by the block that they stand in.
func places(t *testing.T) []string {
	t.Helper()
	reference, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	_, change, _ := strings.Cut(string(reference), "\n### `change ")
	change, _, _ = strings.Cut(change, "\n### ")
	var all []string
	for _, block := range []string{"expand", "contract"} {
		_, within, ok := strings.Cut(change, "\n#### `"+block+" ")
		within, _, _ = strings.Cut(within, "\n#### ")
		found := regexp.MustCompile("(?m)^##### `([a-z_]+) ").FindAllStringSubmatch(within, -1)
		if !ok || len(found) == 0 {
			t.Fatalf("the reference of the language says nothing of %s", block)
		}
		for _, m := range found {
			if m[1] != "quiet" {
				all = append(all, block+" "+goName(m[1]))
			}
		}
	}
	return all
}

// goName is what a block's type is called.
func goName(block string) string {
	if block == "sql" {
		return "SQL"
	}
	var name string
	for word := range strings.SplitSeq(block, "_") {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}
