package spec

import "time"

const day = 24 * time.Hour

// language is the whole of what a spec file may hold.
var language = &block{
	name: "file",
	blocks: []*block{
		variableTable, localsTable, stateTable, databaseTable, orchestratorTable,
		routerTable, serviceTable, changeTable, migrationsTable, strategyTable, windowTable, gateTable, analysisTable, notifyTable,
	},
	later: []string{
		"environment", "task", "hook", "host",
	},
}

var variableTable = &block{
	name: "variable", labels: []string{"NAME"},
	doc: "A value that is given from outside. In order of rising precedence: `default`, the environment variable `PLEAT_VAR_NAME`, the files of `-var-file`, `-var NAME=VALUE`.",
	attributes: []attribute{
		{name: "type", kind: kindType, doc: "`string`, `number`, `bool`, `list(…)`, `set(…)`, `map(…)`, `object({…})` or `any`."},
		{name: "default", kind: kindAny, doc: "The value where none is given. Without it a value must be given."},
		{name: "sensitive", kind: kindBool, fallback: "false", doc: "The value, and everything made from it, is never shown."},
		{name: "description", kind: kindString, doc: "For the reader."},
	},
	later: []string{"validation", "nullable"},
}

var localsTable = &block{
	name: "locals", open: true,
	doc: "Named values for this spec, used as `local.NAME`. There may be several such blocks; the names are shared.",
}

var stateTable = &block{
	name: "state", single: true,
	doc: "Where runs, releases and leases are recorded. Without it, the only database.",
	attributes: []attribute{
		{name: "url", kind: kindText, required: true, doc: "Postgres connection URL; never shown. With another host it needs `sslmode=verify-full`."},
		{name: "insecure", kind: kindBool, fallback: "false", doc: "Another host is spoken to also without `sslmode=verify-full`: whoever is between may read the password and all rows."},
	},
}

var databaseTable = &block{
	name: "database", labels: []string{"NAME"},
	doc: "A Postgres database whose schema is changed here.",
	attributes: []attribute{
		{name: "url", kind: kindText, required: true, doc: "Postgres connection URL; never shown. With another host it needs `sslmode=verify-full`."},
		{name: "insecure", kind: kindBool, fallback: "false", doc: "Another host is spoken to also without `sslmode=verify-full`: whoever is between may read the password and all rows."},
		{name: "role", kind: kindString, doc: "Role that each step takes on with `SET LOCAL ROLE`."},
		{name: "free_disk_sql", kind: kindString, doc: "A query for the bytes that are free on the server's disk. Without it, they are known only over a unix socket."},
	},
	blocks: []*block{{
		name: "lock", single: true,
		doc: "What others may suffer from strong locks.",
		attributes: []attribute{
			{name: "timeout", kind: kindDuration, fallback: "100ms", shortest: 10 * time.Millisecond, longest: 10 * time.Second,
				doc: "One attempt's wait: the longest that anybody waits behind it."},
			{name: "hold", kind: kindDuration, fallback: "500ms", shortest: 50 * time.Millisecond, longest: time.Minute,
				doc: "Longest time that a strong lock is held."},
			{name: "patience", kind: kindDuration, fallback: "5m", shortest: time.Second, longest: day,
				doc: "Attempts go on for that long; then the step fails and names who blocks it."},
		},
		blocks: []*block{evictTable},
	}},
}

var evictTable = &block{
	name: "evict", single: true,
	doc: "Sessions that a step may end when they keep a strong lock from it: those of the releases named, while they are idle in a transaction. Without this block none is.",
	attributes: []attribute{
		{name: "releases", kind: kindRefs, required: true, target: `service.NAME.release["VERSION"]`, doc: "Whose sessions."},
		{name: "idle_in_transaction", kind: kindDuration, fallback: "30s", shortest: time.Second, longest: day, doc: "They have done nothing for that long."},
	},
}

var orchestratorTable = &block{
	name: "orchestrator", labels: []string{"KIND", "NAME"},
	doc: "What keeps processes running.",
	variants: []*block{{
		name: "host", doc: "Agents, one on each host.",
		attributes: []attribute{
			{name: "agents", kind: kindStrings, required: true, doc: "Where the agents listen: `unix:///PATH` or `https://HOST:PORT`."},
			{name: "token", kind: kindText, doc: "Shared secret of the agents that listen on `https`; never shown."},
			{name: "ca", kind: kindString, doc: "PEM file, relative to the spec, that signs the agents' certificates. Without it, the system's roots."},
		},
	}, programTable("instances")},
	later: []string{"nomad", "kubernetes", "ssh", "docker", "systemd"},
}

var routerTable = &block{
	name: "router", labels: []string{"KIND", "NAME"},
	doc: "What steers requests to instances.",
	variants: []*block{{
		name: "proxy", doc: "The router in the agent.",
		attributes: []attribute{
			{name: "listen", kind: kindString, required: true, doc: "`HOST:PORT` where requests are accepted."},
			{name: "agent", kind: kindString, doc: "The agent that listens. Without it, the first agent of the first orchestrator."},
		},
		blocks: []*block{{
			name: "tls", single: true, doc: "Connections are secured, by TLS 1.2 or later, and HTTP/2 is spoken with who wants it. The files are on the agent's host, and are read again when they change. It counts from when the address is opened.",
			attributes: []attribute{
				{name: "certificate", kind: kindString, required: true, doc: "PEM file with the certificate and those that it depends on."},
				{name: "key", kind: kindString, required: true, doc: "PEM file with its key."},
			},
		}, {
			name: "limits", single: true, doc: "What is taken of requests. More is refused before an instance gets it; what was refused is counted in the agent's metrics and in its access log. A change of them is a step of the plan, and counts for the requests that come then; one of the timeouts for connections that do.",
			attributes: []attribute{
				{name: "max_header_bytes", kind: kindString, doc: "Of the header of a request and its first line, from `\"1KiB\"` to `\"1MiB\"`: more is answered with 431. Without it, `\"1MiB\"`."},
				{name: "max_body", kind: kindString, doc: "Of the body of a request, such as `\"10MiB\"`: more is answered with 413, and what a client sends without an end is cut there. Answers, and connections that have left HTTP such as a WebSocket's, have no limit. Without it, neither have requests."},
				{name: "max_requests", kind: kindCount, min: 1, max: 1_000_000, doc: "Requests at the same time, with those that wait and connections that have left HTTP: one more is answered with 503. Without it, there is no limit."},
				{name: "header_timeout", kind: kindDuration, shortest: 100 * time.Millisecond, longest: time.Hour, doc: "For the header of a request to arrive, from its first byte, or from when the connection is made; and for a TLS handshake. Who takes longer is cut off. How long the body or the answer takes is not limited. Without it, `\"30s\"`."},
				{name: "idle_timeout", kind: kindDuration, shortest: 100 * time.Millisecond, longest: day, doc: "How long a connection is kept between two requests. One that is being answered, or that has left HTTP, is not idle. What is in front of the router should close its own sooner. Without it, `\"3m\"`."},
			},
		}},
	}, programTable("requests")},
	later: []string{"haproxy", "nginx", "kubernetes", "gateway", "envoy", "traefik"},
}

// programTable is the kind that a program of the author's implements.
func programTable(of string) *block {
	return &block{
		name: "exec", doc: "A program of yours that looks after the " + of + ": [how it is spoken with](exec.md).",
		attributes: []attribute{
			{name: "command", kind: kindStrings, required: true, doc: "The program and its arguments. It runs in the directory of the spec, and `plan` runs it too."},
			{name: "settings", kind: kindTextMap, doc: "What it is told when it starts, such as an address or a token; never shown where it is sensitive."},
			{name: "timeout", kind: kindDuration, fallback: "30s", shortest: time.Second, longest: 10 * time.Minute, doc: "An answer that waits for nothing comes within that time."},
		},
	}
}
