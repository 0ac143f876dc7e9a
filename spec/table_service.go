package spec

import "time"

var serviceTable = &block{
	name: "service", labels: []string{"NAME"}, forEach: true,
	doc: "A thing that is deployed. With `for_each` the name is `LABEL_KEY`.",
	attributes: []attribute{
		{name: "orchestrator", kind: kindRef, target: "orchestrator.KIND.NAME", doc: "What runs it. Without it, the only orchestrator."},
		{name: "router", kind: kindRef, target: "router.KIND.NAME", doc: "What sends it requests. Without it, there is no traffic to steer."},
		{name: "database", kind: kindRef, target: "database.NAME", doc: "The database whose schema its releases are built for. Without it, the only database."},
		{name: "also_uses", kind: kindRefs, target: "database.NAME", doc: "Other databases that it uses: their changes and migrations wait for it as well."},
		{name: "after", kind: kindRefs, target: "service.NAME", doc: "Services that run their release before this one is rolled out to its own."},
		{name: "strategy", kind: kindRef, target: "strategy.NAME", doc: "How it moves to another release. Without it, rolling with the defaults of `strategy`."},
		{name: "release", kind: kindString, required: true, doc: "The version that should be live; one of the releases below."},
		{name: "gates", kind: kindRefs, target: "gate.NAME", doc: "Asked before each step of a rollout. While one is closed the rollout waits, and is put off after `--wait`."},
		{name: "keep_rollback", kind: kindDuration, fallback: "0s", longest: 365 * day, doc: "Nothing that the release before needs is taken away for that long after it left."},
	},
	blocks: []*block{processTable, releaseTable},
	later:  []string{"task", "hook", "notify", "migrations", "environment", "window", "schedule"},
}

var processTable = &block{
	name: "process", labels: []string{"NAME"}, unique: true, required: true,
	doc: "One kind of program of the service.",
	attributes: []attribute{
		{name: "count", kind: kindCount, fallback: "1", min: 0, max: 10000, doc: "Instances; with `per_host`, on each host."},
		{name: "per_host", kind: kindBool, fallback: "false", doc: "As many on every host. A unit of a rollout is one of each host, and hosts that join get theirs with the next apply."},
		{name: "command", kind: kindStrings, doc: "Program and arguments. Without it, the artifact itself: `[\"$${ARTIFACT}\"]`. The agent fills in `$${ARTIFACT}`, `$${ADDR}` and `$${PORT}`; the dollar is doubled so that it is not read as an expression of the spec."},
		{name: "env", kind: kindTextMap, doc: "Environment variables. They win over the release's."},
		{name: "routed", kind: kindBool, doc: "Gets the router's requests. Without it, true for the process `web`."},
	},
	blocks: []*block{checkTable, drainTable},
	later:  []string{"offline", "handover", "primary_last", "resources", "cycle", "schedule", "user", "limits"},
}

var checkTable = &block{
	name: "check", labels: []string{"KIND"},
	doc: "Asks an instance whether it can serve. An instance is up once every check has passed without interruption for `healthy_after`.",
	variants: []*block{
		{name: "http", doc: "A GET that answers 2xx or 3xx.", attributes: checkArguments(
			attribute{name: "path", kind: kindString, fallback: "/", doc: "Path, with the query if there is one."},
			checkPort)},
		{name: "tcp", doc: "A connection that is accepted.", attributes: checkArguments(checkPort)},
		{name: "exec", doc: "A program that exits with 0.", attributes: checkArguments(
			attribute{name: "command", kind: kindStrings, required: true, doc: "Program and arguments."})},
	},
	later: []string{"grpc", "log", "sql"},
}

var checkPort = attribute{name: "port", kind: kindCount, min: 1, max: 65535, doc: "Port. Without it, the instance's own."}

func checkArguments(own ...attribute) []attribute {
	return append(own,
		attribute{name: "interval", kind: kindDuration, fallback: "1s", shortest: 10 * time.Millisecond, longest: time.Hour, doc: "From one question to the next."},
		attribute{name: "timeout", kind: kindDuration, fallback: "1s", shortest: 10 * time.Millisecond, longest: 5 * time.Minute, doc: "For one answer."},
		attribute{name: "threshold", kind: kindCount, fallback: "3", min: 1, max: 100, doc: "Failures in a row after which an instance that was up is down."},
		attribute{name: "healthy_after", kind: kindDuration, fallback: "0s", longest: time.Hour, doc: "It must pass for that long before the instance is up."},
		attribute{name: "start_timeout", kind: kindDuration, fallback: "30s", shortest: 100 * time.Millisecond, longest: day, doc: "An instance that is not up by then is a failed start."},
	)
}

var drainTable = &block{
	name: "drain", single: true,
	doc: "How an instance leaves: it gets no more requests, has `timeout` for those in flight, then the signal, and SIGKILL after `kill_after`.",
	attributes: []attribute{
		{name: "timeout", kind: kindDuration, fallback: "30s", longest: day, doc: "For requests in flight."},
		{name: "signal", kind: kindString, fallback: "TERM", oneOf: []string{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2"}, doc: "What asks it to stop."},
		{name: "kill_after", kind: kindDuration, fallback: "10s", longest: time.Hour, doc: "From the signal to SIGKILL."},
	},
}

var releaseTable = &block{
	name: "release", labels: []string{"VERSION"}, unique: true, forEach: true, required: true,
	doc: "One immutable version. With `for_each` the label is `each` and the version is the key.",
	attributes: []attribute{
		{name: "ancestors", kind: kindStrings, doc: "Versions whose code this one contains. They need not be in the spec."},
		{name: "schema", kind: kindRefs, target: "change.NAME", doc: "Built for the schema after these changes and all before them."},
		{name: "needs_backfill", kind: kindRefs, target: "change.NAME", doc: "Changes whose backfill must be done before this release starts."},
		{name: "tolerates", kind: kindRefs, target: "change.NAME", doc: "Changes that it does not know and whose contract it survives nevertheless."},
		{name: "env", kind: kindTextMap, doc: "Environment variables of all its processes."},
		{name: "migrate_on_start", kind: kindBool, fallback: "false", doc: "When it starts, it runs the migrations that it ships by itself, so it can start against no other version. Needs a `schema_version`."},
		{name: "required_stop", kind: kindBool, fallback: "false", doc: "No rollout goes past this release. From what is among its `ancestors` to what has it among its own, the way stops here until the changes that this release knows are back-filled and verified."},
		{name: "processes", kind: kindStrings, doc: "The processes that this release has. Without it, all of the service's."},
	},
	blocks: []*block{artifactTable, schemaVersionTable, {
		name: "process", labels: []string{"NAME"}, unique: true,
		doc: "What is different in this release about a process of the service.",
		attributes: []attribute{
			{name: "command", kind: kindStrings, doc: "Instead of the process's own."},
			{name: "env", kind: kindTextMap, doc: "Added to the process's own; wins over it."},
		},
		later: []string{"count", "check", "drain", "routed"},
	}},
	later: []string{"hook", "task", "image", "notify"},
}

var artifactTable = &block{
	name: "artifact", single: true, required: true,
	doc: "What the release is made of, pinned by its digest.",
	attributes: []attribute{
		{name: "path", kind: kindString, required: true, doc: "Program, relative to the spec."},
		{name: "sha256", kind: kindString, required: true, doc: "64 hexadecimal digits, such as `filesha256(\"bin/app\")` gives."},
	},
	later: []string{"image", "url", "oci", "sigstore"},
}

var strategyTable = &block{
	name: "strategy", labels: []string{"NAME"},
	doc: "A way to move a service from one release to another. Exactly one of `all_at_once`, `rolling`, `canary`, `blue_green`, `cycle`, `handover` and `offline`.",
	attributes: []attribute{
		{name: "max_start_failures", kind: kindCount, fallback: "0", min: 0, max: 1000, doc: "Starts of one step that may fail before the step does."},
		{name: "step_timeout", kind: kindDuration, fallback: "2m", shortest: 100 * time.Millisecond, longest: day, doc: "For the instances of one step to come up: then it has failed. To go: then the run goes on without them, except with `stop_first`."},
		{name: "keep_previous", kind: kindDuration, fallback: "0s", longest: 365 * day, doc: "The instances of the release before stay up without requests for that long, so that they can be given them back at once. Not with `offline` or `stop_first`, and only where there is a router."},
	},
	blocks: []*block{
		{name: "all_at_once", single: true, doc: "All new instances start, then all old ones stop."},
		{name: "rolling", single: true, doc: "Unit by unit.", attributes: []attribute{
			{name: "batch", kind: kindBatch, doc: "Size of a unit: instances such as `4`, or `\"25%\"` of the process's count. Without it, as many as there are hosts."},
			{name: "order", kind: kindString, fallback: string(StartFirst), oneOf: []string{string(StartFirst), string(StopFirst)}, doc: "Within a unit: new up and then old down, or the other way."},
		}},
		{name: "canary", single: true, doc: "The new release gets a share of the requests that grows step by step, beside all instances of the old one; after the last step it gets all, and the old one goes. What fails takes it back to none. Processes that get no requests follow then, one by one. Only for services with a router.", blocks: []*block{canaryStepTable, stickyTable}},
		{name: "blue_green", single: true, doc: "All instances of the new release come up beside the old ones and get no requests but those of `preview`. Once `hold` is over and all is well, they get all of them at once. Processes that get no requests follow then, one by one. Only for services with a router.", attributes: []attribute{
			{name: "hold", kind: kindDuration, fallback: "0s", longest: 30 * day, doc: "It is looked at for that long. The run waits."},
			{name: "verify", kind: kindRefs, target: "change.NAME.VERIFY", doc: "Asked after the hold: verifies of changes, while both shapes are there, and analyses, such as `analysis.errors`."},
		}, blocks: []*block{matchTable("preview", "Requests that the new release gets before the others."), approveTable}},
		{name: "cycle", single: true, doc: "Each process that gets requests has two sets of `count` instances: one that is visible and one that is hidden, up and without requests. The new release takes the hidden one's place, is tried there by `smoke`, and the sets change their roles; after `keep_previous` it takes the other's place as well. Only for services with a router."},
		{name: "handover", single: true, doc: "One by one, new up and then old down, and in between the new one has to say that it took over: it writes `$PLEAT_RUN done` into the file `$PLEAT_HANDOVER`, in place of what is there. What it wrote for another run counts for nothing. `step_timeout` bounds the wait."},
		{name: "offline", single: true, doc: "All instances stop, the schema changes, one instance of each process starts, then the rest.", attributes: []attribute{
			{name: "same_version", kind: kindBool, fallback: "false", doc: "All services that are down together come back with the same version."},
		}},
		smokeTable,
	},
	later: []string{
		"match", "primary_last",
		"approve", "window", "gate", "step", "hold", "verify",
	},
}

var canaryStepTable = &block{
	name: "step", required: true,
	doc: "A share of the requests, and what must hold before the next step. The last step is followed by all of them, which is not written.",
	attributes: []attribute{
		{name: "weight", kind: kindCount, required: true, min: 1, max: 99, doc: "Percent of the requests that the new release gets."},
		{name: "instances", kind: kindBatch, doc: "Instances of the new release, such as `2`, or `\"25%\"` of the process's count. Without it, the same percentage as `weight`."},
		{name: "hold", kind: kindDuration, fallback: "0s", longest: 30 * day, doc: "The share stays for that long. The run waits."},
		{name: "verify", kind: kindRefs, target: "change.NAME.VERIFY", doc: "Asked after the hold: verifies of changes, while both shapes are there, and analyses, such as `analysis.errors`. What is not right fails the rollout."},
	},
	blocks: []*block{matchTable("match", "Requests that the new release gets besides its share, whatever that is; also in the steps after."), approveTable},
	later:  []string{"analysis", "gate", "pause"},
}

var approveTable = &block{
	name: "approve", single: true,
	doc: "A person's word, which `pleat approve` gives. A no takes the rollout back.",
	attributes: []attribute{
		{name: "timeout", kind: kindDuration, fallback: "4h", shortest: time.Second, longest: 30 * day, doc: "The run waits for that long."},
		{name: "on_timeout", kind: kindString, fallback: "rollback", oneOf: []string{"rollback", "defer"}, doc: "What silence means: the rollout is taken back, or it stays at this step until the next apply, which asks again."},
		{name: "from", kind: kindStrings, doc: "Database roles whose word counts: those that `pleat approve` connects to the state database as. Without it, any."},
	},
}

// matchTable is requests by what is in them.
func matchTable(name, doc string) *block {
	return &block{
		name: name, single: true, doc: doc,
		attributes: []attribute{
			{name: "header", kind: kindString, doc: "Name of the header that they have. Either this or `cookie`."},
			{name: "cookie", kind: kindString, doc: "Name of the cookie that they have."},
			{name: "value", kind: kindString, doc: "What it is. Without it, anything."},
		},
	}
}

var stickyTable = &block{
	name: "sticky", single: true,
	doc: "Who comes back gets the same release, as far as the shares allow: nobody goes back to the old one while they grow. Without it, each request is on its own.",
	attributes: []attribute{
		{name: "header", kind: kindString, doc: "Name of the header that tells who it is. Either this or `cookie`."},
		{name: "cookie", kind: kindString, doc: "Name of the cookie that tells; who has none is given one."},
	},
}

// smokeTable is a check that is asked once.
var smokeTable = &block{
	name: "smoke", labels: []string{"KIND"},
	doc: "Asks each new instance of a process that gets requests, at its own address, before it gets any. What fails takes the rollout back.",
	variants: []*block{
		{name: "http", doc: "A GET that answers 2xx or 3xx.", attributes: []attribute{
			{name: "path", kind: kindString, fallback: "/", doc: "Path, with the query if there is one."},
			checkPort, smokeTimeout}},
		{name: "tcp", doc: "A connection that is accepted.", attributes: []attribute{checkPort, smokeTimeout}},
		{name: "exec", doc: "A program that exits with 0. It runs on the instance's host, with its environment.", attributes: []attribute{
			{name: "command", kind: kindStrings, required: true, doc: "Program and arguments. `$${ADDR}`, `$${PORT}` and `$${ARTIFACT}` are filled in."},
			smokeTimeout}},
	},
	later: []string{"grpc", "sql"},
}

var smokeTimeout = attribute{name: "timeout", kind: kindDuration, fallback: "10s", shortest: 10 * time.Millisecond, longest: time.Hour, doc: "For the answer."}
