package spec

import (
	"maps"
	"slices"
)

func (l *loader) service(n *node, s *Service) {
	s.Database = l.databaseOf(n)
	s.AlsoUses = l.alsoUses(n, s)
	s.After, l.serviceAfterAt[s] = referAll(n, "after", l.services)
	s.KeepRollback = n.duration("keep_rollback")
	s.Gates, _ = referAll(n, "gates", l.gates)
	s.Window, _ = refer(n, "window", l.windows)
	s.Router, _ = refer(n, "router", l.routers)
	s.Orchestrator = l.orchestratorOf(n)
	s.Strategy = l.strategyOf(n)
	for _, p := range n.blocks("process") {
		l.nameFits(p, p.labels[0])
		s.Processes = append(s.Processes, process(p, s))
	}
	slices.SortFunc(s.Processes, compareProcesses)
	l.clustered(n, s)
	for _, t := range n.blocks(taskTable.name) {
		s.Tasks = append(s.Tasks, l.task(t, s))
	}
	l.target(n, s)
}

// alsoUses are the databases of a service but the one of DATABASE_URL.
func (l *loader) alsoUses(n *node, s *Service) []*Database {
	list, at := referAll(n, "also_uses", l.databases)
	if i := slices.Index(list, s.Database); i >= 0 {
		l.add(at[i], "Database named twice", "%s is the database of %s already. Here are the others that it uses.", s.Database.Address(), n.title())
		return slices.Delete(list, i, i+1)
	}
	return list
}

func (l *loader) orchestratorOf(n *node) *Orchestrator {
	if n.has("orchestrator") {
		o, _ := refer(n, "orchestrator", l.orchestrators)
		return o
	}
	o, ok := l.orchestrators.only()
	if !ok && !l.refused["orchestrator"] {
		l.add(n.rng(), "Missing orchestrator", "%s needs the argument orchestrator.%s", n.title(), existing(l.orchestrators.names))
	}
	return o
}

func (l *loader) strategyOf(n *node) *Strategy {
	if s, ok := refer(n, "strategy", l.strategies); ok {
		return s
	}
	return defaultStrategy(n)
}

// target finds the release that should be live.
func (l *loader) target(n *node, s *Service) {
	version := n.str("release")
	s.ReleaseRange = n.at("release")
	if version == "" || len(s.Releases) == 0 {
		return
	}
	if s.Release = s.Lookup(version); s.Release != nil {
		return
	}
	var versions []string
	for _, r := range s.Releases {
		versions = append(versions, r.Version)
	}
	n.oneOfNames(n.at("release"), "release", version, versions)
}

func compareProcesses(a, b *Process) int {
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// routedName is the process that gets requests unless the spec says otherwise.
const routedName = "web"

func process(n *node, s *Service) *Process {
	p := &Process{
		Name:    n.labels[0],
		Count:   n.count("count"),
		PerHost: n.flag("per_host"),
		Command: n.argv("command"),
		Routed:  n.labels[0] == routedName,
		Drain:   drain(orDefaults(n.block("drain"), n, "drain")),
		Range:   n.rng(),
	}
	p.Env = n.env("env", string(s.Address())+".process."+p.Name+".env")
	if p.Command == nil {
		p.Command = []string{"${ARTIFACT}"}
	}
	if n.str("protocol") == string(HTTP2) {
		p.Protocol = HTTP2
	}
	if n.has("routed") {
		p.Routed = n.flag("routed")
	}
	for _, c := range n.blocks("check") {
		p.Checks = append(p.Checks, check(c))
	}
	p.Confinement = confinement(n, p)
	p.Scaling = scaling(n)
	if p.Scaling != nil {
		p.Count = p.Scaling.Min
	}
	return p
}

// scaling is the range of a process whose number somebody else sets, or nil.
func scaling(n *node) *Scaling {
	b := n.block(scalingTable.name)
	if b == nil {
		return nil
	}
	s := &Scaling{Min: b.count("min"), Max: b.count("max"), Range: b.rng()}
	if b.has("max") && s.Max < s.Min {
		n.problems.add(b.at("max"), "Empty range", "There is no number of instances that is %d or more and %d or fewer.", s.Min, s.Max)
	}
	if n.has("count") {
		n.problems.add(n.at("count"), "Two numbers of instances", "%s has scaling: how many instances there are is what is live, and not count.", n.title())
	}
	if n.flag("per_host") {
		n.problems.add(s.Range, "Scaling on every host", "A process with per_host has count instances on every host: their number follows the hosts.")
	}
	return s
}

// argv is a program with its arguments; nil when it is not given.
func (n *node) argv(name string) []string {
	command := n.strs(name)
	if command != nil && (len(command) == 0 || command[0] == "") {
		n.problems.add(n.at(name), "Empty command", "The argument %s of %s begins with a program.", name, n.title())
	}
	return command
}

// env is a map of environment variables.
func (n *node) env(name, ref string) map[string]Text {
	m := n.textMap(name, ref)
	for _, key := range sortedKeys(m) {
		if key == "" || !environmentName(key) {
			n.problems.add(n.atKey(name, key), "Invalid environment variable", "%s cannot be the name of an environment variable: it has letters, digits and _, and does not begin with a digit.", quote(key))
		}
	}
	return m
}

func environmentName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return true
}

func drain(n *node) Drain {
	return Drain{Timeout: n.duration("timeout"), Signal: n.str("signal"), KillAfter: n.duration("kill_after")}
}

func check(n *node) *Check {
	c := &Check{
		Kind:         CheckKind(n.labels[0]),
		Interval:     n.duration("interval"),
		Timeout:      n.duration("timeout"),
		Threshold:    n.count("threshold"),
		HealthyAfter: n.duration("healthy_after"),
		StartTimeout: n.duration("start_timeout"),
		Range:        n.rng(),
	}
	c.asks(n)
	if c.StartTimeout <= c.HealthyAfter {
		n.problems.add(n.at("start_timeout"), "Start timeout too short", "An instance is up after it was healthy for %s, so it can never be up within %s.",
			FormatDuration(c.HealthyAfter), FormatDuration(c.StartTimeout))
	}
	return c
}

// asks is what a check of its kind asks for.
func (c *Check) asks(n *node) {
	switch c.Kind {
	case CheckHTTP:
		c.Path, c.Port = n.str("path"), n.count("port")
		if len(c.Path) == 0 || c.Path[0] != '/' {
			n.problems.add(n.at("path"), "Invalid path", "The argument path of %s begins with a slash.", n.title())
		}
	case CheckTCP:
		c.Port = n.count("port")
	case CheckGRPC:
		c.Port, c.Service = n.count("port"), n.str("service")
	case CheckExec:
		c.Command = n.argv("command")
	}
}

func (l *loader) release(n *node, r *Release) {
	ref := string(r.Service.Address()) + ".release[" + quote(r.Version) + "]"
	r.Artifact = l.artifact(n.block("artifact"))
	r.Ancestors = n.strs("ancestors")
	r.Schema, _ = referAll(n, "schema", l.changes)
	r.NeedsBackfill, _ = referAll(n, "needs_backfill", l.changes)
	r.Tolerates, _ = referAll(n, "tolerates", l.changes)
	r.MigrateOnStart = n.flag("migrate_on_start")
	r.RequiredStop = n.flag("required_stop")
	l.schemaVersions(n, r)
	r.Env = n.env("env", ref+".env")
	l.releaseNodes[r] = n
	r.Processes = l.processesOf(n, r)
	for _, o := range n.blocks("process") {
		l.override(o, r, ref)
	}
}

// processesOf are copies of the service's processes: those that the release
// names, or all of them.
func (l *loader) processesOf(n *node, r *Release) []*Process {
	wanted := n.strs("processes")
	for i, name := range wanted {
		n.oneOfNames(n.atElement("processes", i), "process", name, processNames(r.Service.Processes))
	}
	if wanted != nil && len(wanted) == 0 {
		l.add(n.at("processes"), "No processes", "%s runs nothing.", n.title())
	}
	var list []*Process
	for _, p := range r.Service.Processes {
		if wanted == nil || slices.Contains(wanted, p.Name) {
			own := *p
			list = append(list, &own)
		}
	}
	return list
}

func processNames(list []*Process) []string {
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// override changes a process for one release.
func (l *loader) override(n *node, r *Release, ref string) {
	name := n.labels[0]
	i := slices.IndexFunc(r.Processes, func(p *Process) bool { return p.Name == name })
	if i < 0 {
		names := processNames(r.Processes)
		l.add(n.labelRange(0), "Unknown process", "The release runs no process %s.%s%s", quote(name), DidYouMean(name, names), existing(names))
		return
	}
	p := r.Processes[i]
	if command := n.argv("command"); command != nil {
		p.Command = command
	}
	env := n.env("env", ref+".process."+name+".env")
	if len(env) == 0 {
		return
	}
	merged := maps.Clone(p.Env)
	if merged == nil {
		merged = map[string]Text{}
	}
	maps.Copy(merged, env)
	p.Env = merged
}
