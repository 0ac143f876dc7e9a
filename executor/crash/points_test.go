package crash_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pleat/executor/crash"
)

// root is the module's, seen from this package.
const root = "../.."

// pending are points that need not be called.
var pending = []string{
	"run.recorded", "run.between_steps", "run.before_end", "run.ended",
	"step.before_start", "step.started", "step.sent", "step.commit_sent", "step.applied", "step.finished",
	"index.building", "index.dropped",
	"backfill.updated", "backfill.commit_sent", "backfill.between", "backfill.before_mark",
	"rollout.called", "rollout.answered", "rollout.draining",
	"rollback.decided", "rollback.in_undo", "rollback.undone",
	"file.created", "file.written", "file.synced", "file.renamed", "file.directory_synced",
}

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
		if called[p.Name] == "" && !slices.Contains(pending, p.Name) {
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
		return callsIn(t, path, found)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func callsIn(t *testing.T, path string, found map[string]string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isAt(call.Fun) {
			return true
		}
		where := files.Position(call.Pos()).String()
		literal, ok := call.Args[0].(*ast.BasicLit)
		if !ok {
			t.Errorf("%s: the name of a crash point must be a literal", where)
			return true
		}
		name, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		found[name] = where
		return true
	})
	return nil
}

func isAt(f ast.Expr) bool {
	s, ok := f.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "At" {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "crash"
}
