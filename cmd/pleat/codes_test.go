package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pleat/migrations/hazard"
)

// makers are the functions that make what is printed with a code, by package,
// each with the place of the code among its arguments.
var makers = map[string]map[string]int{
	"../../migrations/hazard": {"find": 0, "finding": 0, "add": 1},
	"../../migrations":        {"NewHazard": 0},
	"../../planner":           {"NewHazard": 0, "obstacle": 0},
}

// coded are the types that have a code: nobody else makes them.
var coded = []string{"Finding", "Hazard", "Obstacle"}

// Each code that the source can print is explained, and each that is explained
// can be printed.
func TestEveryPrintedCodeIsExplained(t *testing.T) {
	words := map[string]bool{}
	for dir := range makers {
		for _, name := range sources(t, dir) {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			checkCodes(t, name, f, makers[dir])
			if !strings.HasPrefix(filepath.Base(name), "docs_") {
				ast.Inspect(f, func(n ast.Node) bool {
					words[literal(n)] = true
					return true
				})
			}
		}
	}
	for _, d := range hazard.Codes() {
		if !words[d.Code] {
			t.Errorf("nothing prints %s", d.Code)
		}
		if d.Title == "" || d.Explain == "" || d.Safe == "" || d.Allow == "" || d.Manual == "" || d.Severity == "" || d.Found == "" {
			t.Errorf("%s is not explained: %+v", d.Code, d)
		}
	}
}

// sources are the Go files of a package without its tests.
func sources(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	return slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// checkCodes looks up what a file gives to makers, and refuses what is made
// without one.
func checkCodes(t *testing.T, file string, f *ast.File, makers map[string]int) {
	for _, d := range f.Decls {
		fn, _ := d.(*ast.FuncDecl)
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if name := lastName(n.Type); slices.Contains(coded, name) && !isMaker(fn, makers) {
					t.Errorf("%s makes a %s by itself", file, name)
				}
			case *ast.CallExpr:
				at, makes := makers[lastName(n.Fun)]
				if !makes || at >= len(n.Args) {
					return true
				}
				if code := literal(n.Args[at]); code != "" && !explained(code) {
					t.Errorf("%s prints %s, which pleat explain does not know", file, code)
				}
			}
			return true
		})
	}
}

func isMaker(fn *ast.FuncDecl, makers map[string]int) bool {
	if fn == nil {
		return false
	}
	_, makes := makers[fn.Name.Name]
	return makes
}

func explained(code string) bool {
	_, known := hazard.Explain(code)
	return known
}

// lastName is the name at the end of a selector.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// literal is the string that a node is; "" for others.
func literal(n ast.Node) string {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(lit.Value)
	return s
}
