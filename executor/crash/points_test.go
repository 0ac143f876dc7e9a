package crash_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"pleat/executor/crash"
)

// root is the module's, seen from this package.
const root = "../.."

func TestEveryPointIsCalledAndEveryCallIsDeclared(t *testing.T) {
	called := calls(t)
	declared := map[string]bool{}
	for _, p := range crash.Points() {
		if declared[p.Name] {
			t.Errorf("%s is declared twice", p.Name)
		}
		declared[p.Name] = true
		if p.Doc == "" {
			t.Errorf("%s does not say what has happened by then", p.Name)
		}
		if called[p.Name] == "" {
			t.Errorf("%s is called nowhere", p.Name)
		}
	}
	for name, where := range called {
		if !declared[name] {
			t.Errorf("%s: %s is not declared", where, name)
		}
	}
}

// calls gives where each point is called, by name.
func calls(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && path != root
		if entry.IsDir() && (hidden || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		return callsIn(path, found)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func callsIn(path string, found map[string]string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !passesPoints(call.Fun) {
			return true
		}
		for _, argument := range call.Args {
			// Other things are called at too; no point's name is without a dot.
			literal, ok := argument.(*ast.BasicLit)
			if ok && literal.Kind == token.STRING && strings.Contains(literal.Value, ".") {
				found[strings.Trim(literal.Value, `"`)] = files.Position(call.Pos()).String()
			}
		}
		return true
	})
	return nil
}

// passesPoints tells a call of crash.At, or of what a provider, which may not
// know this package, calls instead of it.
func passesPoints(f ast.Expr) bool {
	switch f := f.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name == "At" || f.Sel.Name == "at" || f.Sel.Name == "Traced"
	case *ast.Ident:
		return f.Name == "at"
	}
	return false
}
