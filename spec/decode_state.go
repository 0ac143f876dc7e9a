package spec

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

func (l *loader) database(n *node, d *Database) {
	d.URL = n.secret("url", string(d.Address())+".url")
	d.Insecure = n.flag("insecure")
	d.Role = n.str("role")
	if n.has("role") {
		l.identifierAt(n.at("role"), d.Role)
	}
	d.FreeDisk = n.str("free_disk_sql")
	d.Lock = lockBudget(n.block("lock"), n)
	l.declaredDatabases = append(l.declaredDatabases, declared[*Database]{d, n})
}

// evict is read once releases are known.
func (l *loader) evict(n *node, d *Database) {
	lock := n.block("lock")
	if lock == nil || lock.block("evict") == nil {
		return
	}
	e := lock.block("evict")
	d.Lock.Evict = &Eviction{Idle: e.duration("idle_in_transaction"), Range: e.rng()}
	d.Lock.Evict.Releases, _ = referAll(e, "releases", l.releases)
	a, given := e.syntax.Body.Attributes["releases"]
	if !given {
		return
	}
	if list, diags := hcl.ExprList(a.Expr); !diags.HasErrors() && len(list) == 0 {
		l.add(e.at("releases"), "No releases", "%s needs at least one release: sessions of others are never ended.", e.title())
	}
}

// lockBudget reads the lock block; the defaults come from its table when
// there is none.
func lockBudget(n, parent *node) LockBudget {
	n = orDefaults(n, parent, "lock")
	return LockBudget{Timeout: n.duration("timeout"), Hold: n.duration("hold"), Patience: n.duration("patience")}
}

// state is the state block, or the only database.
func (l *loader) state() {
	blocks := l.top("state")
	for _, second := range blocks[min(1, len(blocks)):] {
		l.duplicate(second.rng(), blocks[0].rng(), "state")
	}
	if len(blocks) > 0 {
		n := blocks[0]
		l.spec.State = &StateStore{URL: n.secret("url", "state.url"), Insecure: n.flag("insecure"), Range: n.rng()}
		return
	}
	if d, ok := l.databases.only(); ok {
		l.spec.State = &StateStore{URL: d.URL, Insecure: d.Insecure, Range: d.Range}
		return
	}
	if len(l.databases.names) > 1 {
		l.add(l.databases.at[l.databases.names[1]], "Missing state block", "With more than one database, say which one records runs, releases and leases: state { url = … }")
	}
}

func (l *loader) orchestrator(n *node, o *Orchestrator) {
	if o.Kind == execKind {
		o.Program = program(n, string(o.Address()))
		return
	}
	o.Agents = n.strs("agents")
	o.Token = n.secret("token", string(o.Address())+".token")
	o.CA = n.str("ca")
	if n.has("agents") && o.Agents != nil && len(o.Agents) == 0 {
		l.add(n.at("agents"), "No agents", "%s needs at least one agent.", n.title())
	}
	seen := map[string]bool{}
	for i, agent := range o.Agents {
		rng := n.atElement("agents", i)
		n.agent(rng, agent)
		if seen[agent] {
			l.add(rng, "Agent named twice", "%s stands in the list twice.", agent)
		}
		seen[agent] = true
		if strings.HasPrefix(agent, "https:") && !n.has("token") {
			l.add(rng, "Missing token", "The agent at %s listens on TCP, which takes a token: token = var.agent_token", agent)
		}
	}
}

// agent checks the address of an agent.
func (n *node) agent(rng hcl.Range, address string) {
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/") {
		return
	}
	if err == nil && u.Scheme == "https" && u.User == nil && u.Port() != "" && u.Hostname() != "" && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" {
		return
	}
	n.problems.add(rng, "Invalid agent", "%s is no agent. An agent is unix:///PATH or https://HOST:PORT. There is no http: without TLS anybody on the way could start programs.", quote(address))
}

// execKind is of orchestrators and routers that are a program of the author's.
const execKind = "exec"

func program(n *node, address string) *Program {
	return &Program{Command: n.argv("command"), Settings: n.textMap("settings", address+".settings"), Timeout: n.duration("timeout")}
}

func (l *loader) router(n *node, r *Router) {
	if r.Kind == execKind {
		r.Program = program(n, string(r.Address()))
		return
	}
	r.Listen = n.str("listen")
	if r.Listen != "" && !hostPort(r.Listen) {
		l.add(n.at("listen"), "Invalid address", "The argument listen of %s is HOST:PORT, such as \"127.0.0.1:8080\" or \":8080\".", n.title())
	}
	if t := n.block("tls"); t != nil {
		r.TLS = &RouterTLS{Certificate: t.str("certificate"), Key: t.str("key")}
	}
	if m := n.block("limits"); m != nil {
		r.Limits = RouterLimits{
			Header: m.bytes("max_header_bytes", 1<<10, longestHeader), Body: m.bytes("max_body", 1<<10, largestBody),
			Requests: m.count("max_requests"), HeaderTimeout: m.duration("header_timeout"), IdleTimeout: m.duration("idle_timeout"),
		}
	}
	r.Agent = n.str("agent")
	if r.Agent != "" {
		n.agent(n.at("agent"), r.Agent)
	}
}

const (
	// longestHeader is what the router reads of a header at most.
	longestHeader = 1 << 20
	largestBody   = 1 << 40
)

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	i, err := strconv.Atoi(port)
	return err == nil && i >= 0 && i <= 65535
}
