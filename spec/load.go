package spec

import (
	"bytes"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Options are what Load takes from outside the directory.
type Options struct {
	// Vars are values of variables by name, as they stand in -var NAME=VALUE.
	Vars map[string]string
	// VarFiles are paths of files with lines NAME = VALUE; later ones win.
	VarFiles []string
	// Environ is the environment as os.Environ gives it. Only names that begin
	// with PLEAT_VAR_ are looked at.
	Environ []string
}

// Load reads the spec files of a directory. When something is wrong it
// reports everything that it found, sorted by place, and the Spec serves only
// to show the diagnostics: its Sources are set, and the rest is not to be
// relied on. In Sources, connection URLs, tokens and the defaults of sensitive
// variables are blanked out, byte by byte.
func Load(dir string, options Options) (*Spec, hcl.Diagnostics) {
	l := newLoader(dir, options)
	root, err := os.OpenRoot(dir)
	if err != nil {
		l.add(hcl.Range{}, "Unreadable directory", "%s: %s.", dir, fileReason(err))
		return l.spec, l.sorted()
	}
	l.load(root)
	if err := root.Close(); err != nil {
		l.add(hcl.Range{}, "Unreadable directory", "%s: %s.", dir, err)
	}
	return l.spec, l.sorted()
}

// loader turns one directory into a Spec.
type loader struct {
	*problems
	options   Options
	spec      *Spec
	nodes     []*node // blocks of all files, by file and place
	variables map[string]*variable
	scope     *scope

	databases     *registry[*Database]
	directories   *registry[*Migrations]
	orchestrators *registry[*Orchestrator]
	routers       *registry[*Router]
	strategies    *registry[*Strategy]
	services      *registry[*Service]
	releases      *registry[*Release]
	changes       *registry[*Change]
	questions     *registry[*Question]
	windows       *registry[*Window]
	gates         *registry[*Gate]
	notifies      *registry[*Notify]

	declaredDatabases  []declared[*Database]
	declaredServices   []declared[*Service]
	declaredReleases   []declared[*Release]
	declaredChanges    []declared[*Change]
	declaredStrategies []declared[*Strategy]
	afterAt            map[*Change][]hcl.Range
	serviceAfterAt     map[*Service][]hcl.Range
	operationNodes     map[Operation]*node
	backfillNodes      map[*Backfill]*node
	filled             map[*Change][]Table // tables that shorthands have synced
	releaseNodes       map[*Release]*node
}

// declared is a thing whose name is known and whose content is in node.
type declared[T any] struct {
	item T
	node *node
}

func newLoader(dir string, options Options) *loader {
	return &loader{
		problems:       newProblems(),
		options:        options,
		spec:           &Spec{Dir: dir, Sources: map[string][]byte{}},
		variables:      map[string]*variable{},
		databases:      newRegistry[*Database]("database"),
		directories:    newRegistry[*Migrations]("migrations"),
		orchestrators:  newRegistry[*Orchestrator]("orchestrator"),
		routers:        newRegistry[*Router]("router"),
		strategies:     newRegistry[*Strategy]("strategy"),
		services:       newRegistry[*Service]("service"),
		releases:       newRegistry[*Release]("service"),
		changes:        newRegistry[*Change]("change"),
		questions:      newRegistry[*Question]("change"),
		windows:        newRegistry[*Window]("window"),
		gates:          newRegistry[*Gate]("gate"),
		notifies:       newRegistry[*Notify]("notify"),
		afterAt:        map[*Change][]hcl.Range{},
		serviceAfterAt: map[*Service][]hcl.Range{},
		operationNodes: map[Operation]*node{},
		backfillNodes:  map[*Backfill]*node{},
		filled:         map[*Change][]Table{},
		releaseNodes:   map[*Release]*node{},
	}
}

func (l *loader) load(root *os.Root) {
	bodies, ok := l.read(root)
	if !ok {
		return
	}
	for _, name := range sortedKeys(bodies) {
		l.nodes = append(l.nodes, fitter{l.problems}.file(bodies[name])...)
	}
	l.bind(functions(root))
	l.declare(root)
	l.decode()
	l.check()
	l.arrange()
}

// read parses every file. It is false when a file's syntax is wrong: what
// could be made of the others would miss what is in that one.
func (l *loader) read(root *os.Root) (map[string]*hclsyntax.Body, bool) {
	sources := l.sources(root)
	bodies := map[string]*hclsyntax.Body{}
	for _, name := range sortedKeys(sources) {
		src, diags := parse(name, sources[name])
		l.extend(withoutContext(diags, detailOf))
		l.spec.Sources[name] = src.blankSecrets()
		bodies[name] = src.body
	}
	return bodies, len(l.list) == 0
}

// sources reads the spec files of root.
func (l *loader) sources(root *os.Root) map[string][]byte {
	names, err := specNames(root)
	if err != nil {
		l.add(hcl.Range{}, "Unreadable directory", "%s: %s.", l.spec.Dir, fileReason(err))
		return nil
	}
	if len(names) == 0 {
		l.add(hcl.Range{}, "No spec here", "%s has no file that ends in %s.", l.spec.Dir, Suffix)
	}
	sources := map[string][]byte{}
	for _, name := range names {
		src, err := readLimited(root, name)
		if err == nil && bytes.IndexByte(src, 0) >= 0 {
			err = errNotText
		}
		if err != nil {
			l.add(hcl.Range{}, "Unreadable spec file", "%s: %s.", name, err)
			continue
		}
		sources[name] = src
	}
	return sources
}

// top are the top-level blocks of one kind.
func (l *loader) top(name string) []*node {
	var found []*node
	for _, n := range l.nodes {
		if n.syntax.Type == name {
			found = append(found, n)
		}
	}
	return found
}

// bind makes the scope: functions, variables, locals.
func (l *loader) bind(functions map[string]function.Function) {
	l.scope = &scope{context: &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{}}, names: map[string][]string{"var": nil, "local": nil}}
	for _, n := range l.top("variable") {
		l.bindVariable(n)
	}
	l.giveVariables()
	values := map[string]cty.Value{}
	for name, v := range l.variables {
		values[name] = v.result()
	}
	l.scope.context.Variables["var"] = cty.ObjectVal(values)
	l.scope.names["var"] = sortedKeys(values)
	l.bindLocals()
	for i, n := range l.nodes {
		l.nodes[i] = n.in(l.scope)
	}
}

func (l *loader) bindVariable(n *node) {
	n.scope = l.scope
	name := n.labels[0]
	if was := l.variables[name]; was != nil {
		l.duplicate(n.rng(), was.node.rng(), n.title())
		return
	}
	l.referable(n, name)
	l.variables[name] = newVariable(n)
}

func (l *loader) bindLocals() {
	all := &locals{problems: l.problems, scope: l.scope, exprs: map[string]*hclsyntax.Attribute{}, done: map[string]cty.Value{}}
	for _, n := range l.top("locals") {
		for _, a := range sortedAttributes(n.syntax.Body) {
			if was := all.exprs[a.Name]; was != nil {
				l.duplicate(a.NameRange, was.NameRange, "local."+a.Name)
				continue
			}
			all.exprs[a.Name] = a
		}
	}
	l.scope.names["local"] = sortedKeys(all.exprs)
	for _, name := range l.scope.names["local"] {
		all.evaluate(name)
	}
	l.scope.context.Variables["local"] = cty.ObjectVal(all.done)
}

// referable refuses names that no reference could be written for.
func (l *loader) referable(n *node, name string) bool {
	if hclsyntax.ValidIdentifier(name) {
		return true
	}
	l.add(n.labelRange(len(n.labels)-1), "Invalid name", "%s cannot be referred to: a name begins with a letter and goes on with letters, digits, _ and -.", quote(name))
	return false
}
