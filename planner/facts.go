package planner

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"pleat/migrations"
	"pleat/spec"
)

// Scope is what a plan looked at: enough to read the same facts again without
// the spec.
type Scope struct {
	Databases     map[string]DatabaseScope `json:"databases,omitempty"` // by name
	Services      []ServiceScope           `json:"services,omitempty"`
	Orchestrators []spec.Address           `json:"orchestrators,omitempty"`
	Routers       []spec.Address           `json:"routers,omitempty"`
}

// DatabaseScope is the objects of one database that a spec names.
type DatabaseScope struct {
	Tables  map[string]TableScope `json:"tables,omitempty"`
	Indexes []string              `json:"indexes,omitempty"` // as spec.Table's text, whatever table they are on
	Types   []string              `json:"types,omitempty"`   // enums, as spec.Table's text
	// Dropped are the types of which it decides something what uses them.
	Dropped []string `json:"dropped,omitempty"`
	// Functions are those that defaults of columns call, as the author names them.
	Functions []string `json:"functions,omitempty"`
	// Retyped are the types that columns are to have. A plan asks about them; a
	// plan that is there does not depend on the answer.
	Retyped map[spec.Table]map[string]string `json:"-"`
	Changes []string                         `json:"changes,omitempty"`
	// Migrations are golang-migrate's tables, by the name of the directory.
	Migrations map[string]spec.Table `json:"migrations,omitempty"`
	// Sessions says that a step takes something away on evidence: then it is a
	// fact which releases have sessions without an instance.
	Sessions bool `json:"sessions,omitempty"`
}

// TableScope is the parts of a table that a spec names.
type TableScope struct {
	Columns     []string `json:"columns,omitempty"`
	Constraints []string `json:"constraints,omitempty"`
	// Uses are the columns of which it decides something what uses them; "" is
	// the table as a whole.
	Uses []string `json:"uses,omitempty"`
}

// ServiceScope is where a service lives.
type ServiceScope struct {
	Name         string       `json:"name"`
	Orchestrator spec.Address `json:"orchestrator"`
	Router       spec.Address `json:"router,omitempty"`
	Databases    []string     `json:"databases,omitempty"`
}

// TableNames are the tables to observe, sorted.
func (s DatabaseScope) TableNames() []spec.Table {
	var out []spec.Table
	for _, name := range sortedKeys(s.Tables) {
		out = append(out, spec.ParseTable(name))
	}
	return out
}

// IndexNames are the indexes to observe, sorted.
func (s DatabaseScope) IndexNames() []spec.Table { return parsed(s.Indexes) }

// TypeNames are the types to observe, sorted.
func (s DatabaseScope) TypeNames() []spec.Table { return parsed(s.Types) }

func parsed(names []string) []spec.Table {
	var out []spec.Table
	for _, name := range names {
		out = append(out, spec.ParseTable(name))
	}
	return out
}

// ScopeOf is what a spec makes a plan look at.
func ScopeOf(sp *spec.Spec) Scope {
	out := Scope{Databases: map[string]DatabaseScope{}}
	for _, d := range sp.Databases {
		out.Databases[d.Name] = DatabaseScope{Tables: map[string]TableScope{}}
	}
	for _, c := range sp.Changes {
		scope := out.Databases[c.Database.Name]
		scope.Changes = append(scope.Changes, c.Name)
		scope.name(c)
		out.Databases[c.Database.Name] = scope
	}
	for _, m := range sp.Migrations {
		scope := out.Databases[m.Database.Name]
		if scope.Migrations == nil {
			scope.Migrations = map[string]spec.Table{}
		}
		scope.Migrations[m.Name] = m.Table
		out.Databases[m.Database.Name] = scope
	}
	for _, s := range sp.Services {
		service := ServiceScope{Name: s.Name, Orchestrator: s.Orchestrator.Address()}
		if s.Router != nil {
			service.Router = s.Router.Address()
		}
		for _, d := range s.Uses() {
			service.Databases = append(service.Databases, d.Name)
		}
		out.Services = append(out.Services, service)
	}
	for _, o := range sp.Orchestrators {
		out.Orchestrators = append(out.Orchestrators, o.Address())
	}
	for _, r := range sp.Routers {
		out.Routers = append(out.Routers, r.Address())
	}
	return out
}

// watchSessions marks the databases in which a step takes something away.
func (s Scope) watchSessions(steps []Step) {
	for _, step := range steps {
		for _, g := range step.Guards {
			if asks, ok := g.(*NoSessions); ok {
				db := s.Databases[asks.Database]
				db.Sessions = true
				s.Databases[asks.Database] = db
			}
		}
	}
}

// watchUses marks what steps of these changes take away or replace: what uses it
// goes along, or stops them.
func (s Scope) watchUses(changes []*spec.Change) {
	for _, c := range changes {
		db := s.Databases[c.Database.Name]
		for _, op := range c.Operations() {
			switch o := op.(type) {
			case *spec.ReplaceColumn:
				db.use(o.Table, o.Column)
			case *spec.DropColumn:
				db.use(o.Table, o.Column)
			case *spec.DropTable:
				db.use(o.Table, "")
			case *spec.DropEnum:
				db.Dropped = include(db.Dropped, o.Enum.String())
			}
		}
		s.Databases[c.Database.Name] = db
	}
}

// name adds the objects that a change names.
func (s *DatabaseScope) name(c *spec.Change) {
	for _, op := range c.Operations() {
		names := op.Names()
		for _, t := range names.Tables {
			s.table(t.Table)
			for _, column := range t.Columns {
				s.column(t.Table, column)
			}
			for _, constraint := range t.Constraints {
				s.constraint(t.Table, constraint)
			}
		}
		for _, index := range names.Indexes {
			s.Indexes = include(s.Indexes, index.String())
		}
		for _, name := range names.Types {
			s.Types = include(s.Types, name.String())
		}
		switch o := op.(type) {
		case *spec.AddColumn:
			for _, function := range migrations.Calls(o.Column.Default) {
				s.Functions = include(s.Functions, function)
			}
		case *spec.ReplaceColumn:
			s.retype(o)
		}
	}
	for _, b := range c.Backfills {
		s.columns(b.Table, b.Set)
	}
}

func (s *DatabaseScope) retype(o *spec.ReplaceColumn) {
	if o.Type == "" || o.Keep {
		return
	}
	if s.Retyped == nil {
		s.Retyped = map[spec.Table]map[string]string{}
	}
	if s.Retyped[o.Table] == nil {
		s.Retyped[o.Table] = map[string]string{}
	}
	s.Retyped[o.Table][o.Column] = o.Type
}

// table has the table observed, also where nothing but its name matters.
func (s DatabaseScope) table(t spec.Table) TableScope {
	scope := s.Tables[t.String()]
	s.Tables[t.String()] = scope
	return scope
}

func (s DatabaseScope) columns(t spec.Table, byColumn map[string]string) {
	for _, name := range sortedKeys(byColumn) {
		s.column(t, name)
	}
}

func (s DatabaseScope) column(t spec.Table, name string) {
	scope := s.table(t)
	scope.Columns = include(scope.Columns, name)
	s.Tables[t.String()] = scope
}

func (s DatabaseScope) constraint(t spec.Table, name string) {
	scope := s.table(t)
	scope.Constraints = include(scope.Constraints, name)
	s.Tables[t.String()] = scope
}

func (s DatabaseScope) use(t spec.Table, column string) {
	scope := s.table(t)
	scope.Uses = include(scope.Uses, column)
	s.Tables[t.String()] = scope
}

func include(names []string, name string) []string {
	i := sort.SearchStrings(names, name)
	if i < len(names) && names[i] == name {
		return names
	}
	names = append(names, "")
	copy(names[i+1:], names[i:])
	names[i] = name
	return names
}

// Fact is one live fact that decided something. Sizes and estimates are never
// facts.
type Fact struct {
	Key   string `json:"key"`   // "database.main users.name"
	Value string `json:"value"` // "text not null"
}

// Facts reads the facts of a scope from a state, sorted by key.
func (s Scope) Facts(st *State) []Fact {
	f := &facts{instances: map[string][]Instance{}, backends: map[string][]Backend{}, held: map[string][]string{}, splits: map[string]string{}, limits: map[string]spec.RouterLimits{}}
	f.index(st)
	for _, name := range sortedKeys(s.Databases) {
		f.database(name, s.Databases[name], st)
		if s.Databases[name].Sessions {
			f.add("database."+name+" other services", strings.Join(s.others(st.Databases[name]), " "))
		}
	}
	for _, o := range s.Orchestrators {
		f.add(string(o)+hostsFact, strings.Join(st.Orchestrators[string(o)].hosts(), " "))
	}
	for _, service := range s.Services {
		f.service(service)
		if evidence := s.evidenced(service); len(evidence) > 0 {
			f.add("service."+service.Name+" sessions only", strings.Join(f.sessionsOnly(service.Name, evidence, st), " "))
		}
	}
	sort.Slice(f.list, func(i, j int) bool { return f.list[i].Key < f.list[j].Key })
	return f.list
}

// hostsFact ends the key of the fact which hosts an orchestrator has.
const hostsFact = " hosts"

// Changed lists what differs between two readings, as sentences.
func Changed(was, is []Fact) []string {
	now := map[string]string{}
	for _, f := range is {
		now[f.Key] = f.Value
	}
	var out []string
	for _, f := range was {
		if now[f.Key] != f.Value {
			out = append(out, fmt.Sprintf("%s was %s, is %s", f.Key, shown(f.Value), shown(now[f.Key])))
		}
	}
	return out
}

func shown(value string) string {
	if value == "" {
		return "absent"
	}
	return "«" + value + "»"
}

// facts gathers them. Instances, backends and holds are found by service.
type facts struct {
	list      []Fact
	instances map[string][]Instance
	backends  map[string][]Backend
	held      map[string][]string
	splits    map[string]string // by the address of a router
	limits    map[string]spec.RouterLimits
}

func (f *facts) index(st *State) {
	for _, i := range liveInstances(st) {
		f.instances[i.Service] = append(f.instances[i.Service], i)
	}
	for _, address := range sortedKeys(st.Routers) {
		for _, b := range st.Routers[address].Backends {
			f.backends[b.Service] = append(f.backends[b.Service], b)
		}
		f.splits[address] = st.Routers[address].Split.String()
		f.limits[address] = st.Routers[address].Limits
	}
	for _, r := range st.Journal.Releases {
		if r.Held != "" {
			f.held[r.Service] = append(f.held[r.Service], r.Version)
		}
	}
}

// others are the releases of services that the scope does not have and that
// have sessions all the same.
func (s Scope) others(db *Database) []string {
	if db == nil {
		return nil
	}
	known := map[string]bool{}
	for _, service := range s.Services {
		known[service.Name] = true
	}
	var out []string
	for _, session := range db.Sessions {
		if !known[session.Service] {
			out = append(out, session.Service+"@"+session.Release)
		}
	}
	return sorted(out)
}

func (f *facts) add(key, value string) { f.list = append(f.list, Fact{key, value}) }

func (f *facts) database(name string, scope DatabaseScope, st *State) {
	db := st.Databases[name]
	if db == nil {
		db = &Database{}
	}
	at := "database." + name + " "
	if db.Circumstances != nil && db.Circumstances.Version > 0 {
		f.add(at+"server", fmt.Sprintf("PostgreSQL %d", db.Circumstances.Version/10000))
		f.add(at+"pg_stat_statements", string(db.Circumstances.Statements))
	}
	for _, t := range sortedKeys(scope.Tables) {
		f.table(at+t, scope.Tables[t], db.Catalog.Table(spec.ParseTable(t)))
	}
	for _, index := range scope.IndexNames() {
		f.add(at+"index "+index.String(), indexFact(db.Catalog.Index(index)))
	}
	for _, name := range scope.Functions {
		if found := db.Catalog.Volatility(name); found != "" {
			f.add(at+"function "+name, found)
		}
	}
	for _, name := range scope.TypeNames() {
		f.add(at+"type "+name.String(), strings.Join(db.Catalog.Enum(name), ", "))
	}
	for _, name := range scope.Dropped {
		f.add(at+"uses of type "+name, strings.Join(db.Catalog.UsesOfType(name), "; "))
	}
	for _, name := range sortedKeys(scope.Migrations) {
		f.add(at+"migrations."+name, versionFact(db.Versions[name]))
	}
	for _, c := range scope.Changes {
		r := db.Changes[c]
		f.add(at+"change."+c, strings.TrimSpace(fmt.Sprintf("%s %.12s %s", r.Phase, r.Digest, strings.Join(doneUnits(r), " "))))
	}
}

func versionFact(v Version) string {
	switch {
	case v.Halfway != nil:
		return fmt.Sprintf("%d after %d statements", v.Version, v.Halfway.Statements)
	case v.Dirty:
		return fmt.Sprintf("%d dirty", v.Version)
	case v.Version == 0:
		return ""
	}
	return fmt.Sprint(v.Version)
}

func doneUnits(r migrations.Recorded) []string {
	var out []string
	for _, u := range sortedKeys(r.Units) {
		if r.Units[u] {
			out = append(out, u)
		}
	}
	return out
}

func (f *facts) table(at string, scope TableScope, t *migrations.Table) {
	if t == nil {
		f.add(at, "")
		t = &migrations.Table{}
	} else {
		f.add(at, "exists")
	}
	for _, c := range scope.Columns {
		f.add(at+"."+c, columnFact(t.Column(c)))
	}
	for _, c := range scope.Constraints {
		f.add(at+" constraint "+c, constraintFact(t.Constraint(c)))
	}
	for _, c := range scope.Uses {
		f.add(strings.TrimSuffix(at+"."+c, ".")+" uses", strings.Join(t.Uses(c), "; "))
	}
	f.add(at+" primary key", strings.Join(t.PrimaryKey, ", "))
	var triggers []string
	for _, g := range t.Triggers {
		triggers = append(triggers, g.Name+" "+g.Comment)
	}
	f.add(at+" triggers", strings.Join(triggers, "; "))
}

func columnFact(c *migrations.Column) string {
	if c == nil {
		return ""
	}
	value := c.Type
	if c.NotNull {
		value += " not null"
	}
	if c.Default != "" {
		value += " default " + c.Default
	}
	return value
}

// constraintFact has "NOT VALID" in it where that is so.
func constraintFact(c *migrations.Constraint) string {
	if c == nil {
		return ""
	}
	return c.Definition
}

func indexFact(i *migrations.Index) string {
	if i == nil {
		return ""
	}
	if !i.Valid {
		return "invalid " + i.Definition
	}
	return i.Definition
}

// service states which instances live where traffic may reach them. Hosts are
// facts of their own; that an instance flaps for a moment is none.
func (f *facts) service(s ServiceScope) {
	var live, backends []string
	for _, i := range f.instances[s.Name] {
		if i.State != Down {
			live = append(live, fmt.Sprintf("%s/%s@%.8s%s", i.Release, i.Name, i.Digest, i.Role.suffix()))
		}
	}
	for _, b := range f.backends[s.Name] {
		backends = append(backends, b.Release+"/"+b.Instance)
	}
	at := "service." + s.Name + " "
	f.add(at+"instances", strings.Join(sorted(live), " "))
	f.add(at+"on hold", strings.Join(sorted(f.held[s.Name]), " "))
	f.add(at+"backends", strings.Join(sorted(backends), " "))
	if s.Router != "" {
		f.add(at+"shares", f.splits[string(s.Router)])
		if l := f.limits[string(s.Router)]; l != (spec.RouterLimits{}) {
			f.add(at+"limits", l.String())
		}
	}
}

// evidenced are the service's databases in which a step takes something away.
func (s Scope) evidenced(service ServiceScope) []string {
	return slices.DeleteFunc(slices.Clone(service.Databases), func(name string) bool { return !s.Databases[name].Sessions })
}

// sessionsOnly are the releases that have sessions in these databases and no
// instance.
func (f *facts) sessionsOnly(service string, databases []string, st *State) []string {
	running := map[string]bool{}
	for _, i := range f.instances[service] {
		running[i.Release] = true
	}
	found := map[string]bool{}
	for _, name := range databases {
		db := st.Databases[name]
		if db == nil {
			continue
		}
		for _, session := range db.Sessions {
			if session.Service == service && !running[session.Release] {
				found[session.Release] = true
			}
		}
	}
	return sortedKeys(found)
}

// suffix is the role behind an instance's name.
func (r Role) suffix() string {
	if r == "" {
		return ""
	}
	return " (" + string(r) + ")"
}
