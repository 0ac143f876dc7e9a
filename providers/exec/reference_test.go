package exec_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"pleat/providers/exec"
)

var update = flag.Bool("update", false, "write docs/exec.md")

const referencePath = "../../docs/exec.md"

// chapter is types of the protocol under one heading.
type chapter struct{ title, types string }

var chapters = []chapter{
	{"Lines", "Request Line Report Error"},
	{"hello", "Hello Welcome"},
	{"observe", "Instances Instance Backends Backend Rule Share Sticky"},
	{"announce", "Announcement Ticket"},
	{"ask", "Question Answer NoInstances HasArtifact"},
	{"probe and apply", "Step Outcome"},
	{"Actions of an orchestrator", "Start Stop Smoke Handover Task Roles Placed Process Artifact Check Leave"},
	{"Actions of a router", "Attach Target Drain Weigh HoldTraffic"},
}

// kinds are the words that name a type in a request.
var kinds = map[string]string{
	"NoInstances": "no_instances", "HasArtifact": "has_artifact", "Start": "start", "Stop": "stop", "Smoke": "smoke", "Handover": "handover",
	"Task": "task", "Roles": "roles", "Attach": "attach", "Drain": "drain", "Weigh": "weigh", "HoldTraffic": "hold_traffic",
}

// TestReferenceIsUpToDate compares docs/exec.md with the types, of which it has to
// have every one.
func TestReferenceIsUpToDate(t *testing.T) {
	want := reference(t)
	if *update {
		if err := os.WriteFile(referencePath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/exec.md is not up to date: go test ./providers/exec -run Reference -update")
	}
}

// source is the declarations of files.
type source struct {
	t      *testing.T
	types  map[string]*ast.GenDecl
	consts []*ast.GenDecl
}

func parse(t *testing.T, files ...string) source {
	s := source{t: t, types: map[string]*ast.GenDecl{}}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			switch {
			case ok && g.Tok == token.CONST:
				s.consts = append(s.consts, g)
			case ok && g.Tok == token.TYPE:
				s.types[g.Specs[0].(*ast.TypeSpec).Name.Name] = g
			}
		}
	}
	return s
}

func reference(t *testing.T) []byte {
	s := parse(t, "message.go", "live.go", "action.go")
	var b bytes.Buffer
	introduction, err := os.ReadFile("introduction.md")
	if err != nil {
		t.Fatal(err)
	}
	b.Write(introduction)
	fmt.Fprint(&b, "\n## Words\n")
	for _, c := range s.consts {
		words(&b, c)
	}
	for _, c := range parse(t, "../../planner/ability.go").consts {
		words(&b, c)
	}
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n", c.title)
		for _, name := range strings.Fields(c.types) {
			s.describe(&b, name)
		}
	}
	for name, d := range s.types {
		if _, plain := d.Specs[0].(*ast.TypeSpec).Type.(*ast.Ident); !plain {
			t.Errorf("%s is in no chapter", name)
		}
	}
	return b.Bytes()
}

// words is a table of constants that are words of the protocol.
func words(b *bytes.Buffer, c *ast.GenDecl) {
	if !c.Lparen.IsValid() {
		return
	}
	fmt.Fprintf(b, "\n%s\n| word | |\n|---|---|\n", c.Doc.Text())
	for _, spec := range c.Specs {
		v := spec.(*ast.ValueSpec)
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`), strings.TrimSpace(v.Comment.Text()))
	}
}

// describe writes a type and takes it off the list.
func (s source) describe(b *bytes.Buffer, name string) {
	d := s.types[name]
	if d == nil {
		s.t.Fatalf("there is no %s", name)
	}
	delete(s.types, name)
	title := name
	if kind := kinds[name]; kind != "" {
		title += " · `" + kind + "`"
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n| field | is | |\n|---|---|---|\n", title, d.Doc.Text())
	for _, f := range d.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType).Fields.List {
		tag, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
		is := wireType(f.Type)
		if options == "" {
			is += ", always there"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", tag, is, strings.Join(strings.Fields(f.Doc.Text()), " "))
	}
}

func wireType(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return wireType(e.X)
	case *ast.ArrayType:
		return "list of " + wireType(e.Elt)
	case *ast.MapType:
		return "object of " + wireType(e.Value)
	case *ast.SelectorExpr: // json.RawMessage
		return "object"
	}
	switch name := e.(*ast.Ident).Name; name {
	case "bool":
		return "boolean"
	case "int", "int64", "float64":
		return "number"
	case "string", "Method", "ErrorKind", "ReportKind", "OutcomeWord":
		return "string"
	default:
		return name
	}
}

// TestConversationIsInTheProtocol decodes the example of the reference.
func TestConversationIsInTheProtocol(t *testing.T) {
	b, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```conversation\n")
	text, _, _ := strings.Cut(rest, "```")
	asked := exec.Request{}
	n := 0
	for line := range strings.Lines(text) {
		who, said, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n++; who == "pleat" {
			asked = exec.Request{}
			known(t, said, &asked)
			request(t, asked)
			continue
		}
		var l exec.Line
		known(t, said, &l)
		if l.ID != asked.ID {
			t.Errorf("%s is no answer to %d", said, asked.ID)
		}
		if l.Result != nil {
			known(t, string(l.Result), results[asked.Method]())
		}
	}
	if n < 10 {
		t.Errorf("the conversation has %d lines", n)
	}
}

var results = map[exec.Method]func() any{
	exec.MethodHello:    func() any { return &exec.Welcome{} },
	exec.MethodObserve:  func() any { return &exec.Backends{} },
	exec.MethodAnnounce: func() any { return &struct{}{} },
	exec.MethodProbe:    func() any { return &exec.Outcome{} },
	exec.MethodApply:    func() any { return &exec.Outcome{} },
}

func request(t *testing.T, r exec.Request) {
	switch r.Method {
	case exec.MethodHello:
		known(t, string(r.Params), &exec.Hello{})
	case exec.MethodAnnounce:
		known(t, string(r.Params), &exec.Announcement{})
	case exec.MethodApply, exec.MethodProbe:
		var s exec.Step
		known(t, string(r.Params), &s)
		known(t, string(s.Action), map[string]any{"drain": &exec.Drain{}, "attach": &exec.Attach{}}[s.Kind])
	}
}

func known(t *testing.T, text string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}
