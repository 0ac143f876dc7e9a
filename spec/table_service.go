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
		{name: "gates", kind: kindRefs, target: "gate.NAME", doc: "Asked before anything of a run is done, which waits for `--wait` at most while one is closed, and again before each step of a rollout."},
		windowArgument("The steps of a rollout run"),
		{name: "keep_rollback", kind: kindDuration, fallback: "0s", longest: 365 * day, doc: "Nothing that the release before needs is taken away for that long after it left."},
	},
	blocks: []*block{processTable, releaseTable, taskTable},
	later:  []string{"hook", "notify", "migrations", "environment", "schedule"},
}

var processTable = &block{
	name: "process", labels: []string{"NAME"}, unique: true, required: true,
	doc: "One kind of program of the service.",
	attributes: []attribute{
		{name: "count", kind: kindCount, fallback: "1", min: 0, max: 10000, doc: "Instances; with `per_host`, on each host. Not with `scaling`."},
		{name: "per_host", kind: kindBool, fallback: "false", doc: "As many on every host. A unit of a rollout is one of each host, of `handover` one instance. An instance belongs to its host and keeps its number whatever others do: hosts that join get theirs with the next apply, and one that leaves takes only its own away."},
		{name: "command", kind: kindStrings, doc: "Program and arguments. Without it, the artifact itself: `[\"$${ARTIFACT}\"]`. The agent fills in `$${ARTIFACT}`, `$${ADDR}` and `$${PORT}`; the dollar is doubled so that it is not read as an expression of the spec."},
		{name: "env", kind: kindTextMap, doc: "Environment variables. They win over the release's."},
		{name: "routed", kind: kindBool, doc: "Gets the router's requests. Without it, true for the process `web`."},
		{name: "protocol", kind: kindString, fallback: "http1", oneOf: []string{"http1", string(HTTP2)}, doc: "What the router speaks with it: HTTP/1.1, or HTTP/2 without TLS, as gRPC's servers do. Clients may use either."},
		{name: "user", kind: kindString, doc: "Name of the host's user that it runs as, and its tasks and `exec` checks with it. Only where the agent is root: elsewhere the start is refused. Without it, the agent's own user."},
		{name: "working_directory", kind: kindString, fallback: "/", doc: "Absolute path on the host. It has to be there."},
	},
	blocks: []*block{scalingTable, checkTable, drainTable, limitsTable, secretTable},
	later:  []string{"offline", "handover", "resources", "cycle", "schedule"},
}

var scalingTable = &block{
	name: "scaling", single: true,
	doc: "Somebody else says how many instances there are, such as an autoscaler, or a person with `pleat scale`. A plan wants as many as are live, within these bounds, and the release that comes gets as many as the one that goes. Where nothing is live it starts `min`. Instead of `count`; not with `per_host`, nor for the replicated process of `primary_last`.",
	attributes: []attribute{
		{name: "min", kind: kindCount, required: true, min: 1, max: 10000, doc: "The fewest."},
		{name: "max", kind: kindCount, required: true, min: 1, max: 10000, doc: "The most."},
	},
}

var limitsTable = &block{
	name: "limits", single: true,
	doc: "What each instance may use of its host, all that it starts together. The agent makes a control group for it (cgroup v2, or v1 where a controller is there). Where it cannot, the start is refused and says why.",
	attributes: []attribute{
		{name: "memory", kind: kindString, doc: "Memory, such as `\"256MiB\"`: a whole number and KiB, MiB or GiB. What needs more is killed, and the instance says so. Swap is not given instead."},
		{name: "cpu", kind: kindShare, doc: "Processors, from 0.01 to 1024. What wants more is slowed down."},
	},
}

var secretTable = &block{
	name: "secret", labels: []string{"VARIABLE"}, unique: true,
	doc: "An environment variable whose value is in a file on the host. The agent reads it at each start. The value is in no plan, journal, event or file of the agent, and is blanked in what instances write.",
	attributes: []attribute{
		{name: "file", kind: kindString, required: true, doc: "Absolute path on the host. One line end at the end of the file is left out."},
	},
}

var taskTable = &block{
	name: "task", labels: []string{"NAME"}, unique: true,
	doc: "A program that is run to its end in a rollout, with the release's artifact, environment and databases, on a host of its orchestrator. One that does not exit with 0 takes the rollout back. It is not run on a way back. A rollout that is planned anew after it was cut short runs it again, so it has to bear that.",
	attributes: []attribute{
		{name: "run", kind: kindString, required: true, oneOf: []string{string(BeforeStart), string(BeforeTraffic), string(AtCanary), string(AfterRollout)}, doc: "`before_start`: before the first instance of the release starts, once what it needs of the schema is there. `before_traffic`: when instances are up, before they get requests. `canary`: while the release has its first share of the requests, after the step's `hold`. `after`: when the release has arrived and the one before is gone or kept; one that fails takes the rollout back all the same."},
		{name: "per", kind: kindString, fallback: "run", oneOf: []string{"run", "instance"}, doc: "Once a rollout, or once for each instance of the process, on its host. Only the latter has `$${ADDR}`, `$${PORT}` and `$PLEAT_INSTANCE`, and not with `before_start`."},
		{name: "process", kind: kindString, doc: "The process whose environment it has, and whose instances it is for. Without it, the one that gets requests, or the only one."},
		{name: "command", kind: kindStrings, required: true, doc: "Program and arguments. `$${ARTIFACT}` is filled in."},
		{name: "timeout", kind: kindDuration, fallback: "10m", shortest: 100 * time.Millisecond, longest: 7 * day, doc: "For each run of it: then it is killed, and has failed."},
	},
	blocks: []*block{{
		name: "undo", single: true, doc: "What takes it back, when the rollout is taken back past it. Without it, what it did stays.",
		attributes: []attribute{{name: "command", kind: kindStrings, required: true, doc: "Program and arguments, run as the task was, with the same artifact. It is run too where the task failed on its way."}},
	}},
	later: []string{"retry", "when"},
}

var checkTable = &block{
	name: "check", labels: []string{"KIND"},
	doc: "Asks an instance whether it can serve. An instance is up once every check has passed without interruption for `healthy_after`.",
	variants: []*block{
		{name: "http", doc: "A GET that answers 2xx or 3xx.", attributes: checkArguments(
			attribute{name: "path", kind: kindString, fallback: "/", doc: "Path, with the query if there is one."},
			checkPort)},
		{name: "tcp", doc: "A connection that is accepted.", attributes: checkArguments(checkPort)},
		{name: "grpc", doc: "An answer SERVING by gRPC's health checking protocol, without TLS.", attributes: checkArguments(
			checkService, checkPort)},
		{name: "exec", doc: "A program that exits with 0.", attributes: checkArguments(
			attribute{name: "command", kind: kindStrings, required: true, doc: "Program and arguments."})},
	},
	later: []string{"log", "sql"},
}

var checkService = attribute{name: "service", kind: kindString, doc: "The service that is asked for. Without it, the whole server."}

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
	later: []string{"hook", "image", "notify"},
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
	doc: "A way to move a service from one release to another. Exactly one of `all_at_once`, `rolling`, `canary`, `blue_green`, `cycle`, `handover`, `primary_last` and `offline`.",
	attributes: []attribute{
		{name: "max_start_failures", kind: kindCount, fallback: "0", min: 0, max: 1000, doc: "Starts of one step that may fail before the step does."},
		{name: "step_timeout", kind: kindDuration, fallback: "2m", shortest: 100 * time.Millisecond, longest: day, doc: "For the instances of one step to come up: then it has failed. To go: then the run goes on without them, except with `stop_first`."},
		{name: "progress_deadline", kind: kindDuration, shortest: 100 * time.Millisecond, longest: day, doc: "A step that starts instances has failed when for that long none more of them came up, however much of `step_timeout` is left. Without it there is only `step_timeout`."},
		{name: "keep_previous", kind: kindDuration, fallback: "0s", longest: 365 * day, doc: "The instances of the release before stay up without requests for that long, so that they can be given them back at once. Not with `offline` or `stop_first`, and only where there is a router."},
		{name: "hold_traffic", kind: kindDuration, fallback: "0s", longest: time.Minute, doc: "With `offline` or `stop_first`: while nothing of the service is up, the router keeps new requests waiting for at most that long, and lets them through once the first instance gets requests again, or when the time is over. Only where there is a router."},
	},
	blocks: []*block{
		{name: "all_at_once", single: true, doc: "All new instances start, then all old ones stop."},
		{name: "rolling", single: true, doc: "Unit by unit.", attributes: []attribute{
			{name: "batch", kind: kindBatch, doc: "Size of a unit: instances such as `4`, or `\"25%\"` of the process's count. Without it, as many as there are hosts."},
			{name: "surge", kind: kindBatch, doc: "How many more than the process's count may be up at once, at most a batch: instances such as `1`, or `\"10%\"` of the count. `0` is none more. What a batch has beyond that goes before the new ones come, and the plan says how far availability falls. Without it, a batch."},
			{name: "order", kind: kindString, fallback: string(StartFirst), oneOf: []string{string(StartFirst), string(StopFirst)}, doc: "Within a unit: new up and then old down, or the other way."},
		}},
		{name: "canary", single: true, doc: "The new release gets a share of the requests that grows step by step, beside all instances of the old one; after the last step it gets all, and the old one goes. What fails takes it back to none. Processes that get no requests follow then, one by one. Only for services with a router.", blocks: []*block{canaryStepTable, stickyTable}},
		{name: "blue_green", single: true, doc: "All instances of the new release come up beside the old ones and get no requests but those of `preview`. Once `hold` is over and all is well, they get all of them at once. Processes that get no requests follow then, one by one. Only for services with a router.", attributes: []attribute{
			{name: "hold", kind: kindDuration, fallback: "0s", longest: 30 * day, doc: "It is looked at for that long. The run waits."},
			{name: "verify", kind: kindRefs, target: "change.NAME.VERIFY", doc: "Asked after the hold: verifies of changes, while both shapes are there, and analyses, such as `analysis.errors`."},
		}, blocks: []*block{matchTable("preview", "Requests that the new release gets before the others.", false), approveTable}},
		{name: "cycle", single: true, doc: "Each process that gets requests has two sets of `count` instances: one that is visible and one that is hidden, up and without requests. The new release takes the hidden one's place, is tried there by `smoke`, and the sets change their roles; after `keep_previous` it takes the other's place as well. Only for services with a router."},
		{name: "handover", single: true, doc: "One by one, new up and then old down, and in between the new one has to say that it took over: it writes `$PLEAT_RUN done` into the file `$PLEAT_HANDOVER`, in place of what is there. What it wrote for another run counts for nothing. `step_timeout` bounds the wait."},
		{name: "primary_last", single: true, doc: "For a process whose instances replicate a database. One new instance comes up and one old one goes, one at a time: first the asynchronous ones, then the synchronous one, once a new one has taken its place, and the primary last. Each instance writes what it is into the file `$PLEAT_ROLE`, `primary`, `sync` or `async`, once it has caught up. Other processes follow, one by one.", attributes: []attribute{
			{name: "process", kind: kindString, doc: "The replicated one. Without it, the one that gets requests, or the only one."},
		}, blocks: []*block{{
			name: "promote", single: true, doc: "Makes a primary of a synchronous instance. It is run beside that one, with its environment, once the old primary has stopped in order. Without it, the instances see to that themselves.",
			attributes: []attribute{
				{name: "command", kind: kindStrings, required: true, doc: "Program and arguments. `$${ADDR}`, `$${PORT}` and `$${ARTIFACT}` are filled in."},
				{name: "timeout", kind: kindDuration, fallback: "1m", shortest: 100 * time.Millisecond, longest: day, doc: "Then it is killed, and has failed."},
			},
		}}},
		{name: "offline", single: true, doc: "All instances stop, the schema changes, one instance of each process starts, then the rest.", attributes: []attribute{
			{name: "same_version", kind: kindBool, fallback: "false", doc: "All services that are down together come back with the same version."},
		}},
		smokeTable,
	},
	later: []string{
		"approve", "window", "gate", "step", "hold", "verify",
	},
}

var canaryStepTable = &block{
	name: "step", required: true,
	doc: "A share of the requests, and what must hold before the next step. The last step is followed by all of them, which is not written.",
	attributes: []attribute{
		{name: "weight", kind: kindCount, min: 1, max: 99, doc: "Percent of the requests that the new release gets. Without it, in the first step, those that match and no others."},
		{name: "instances", kind: kindBatch, doc: "Instances of the new release, such as `2`, or `\"25%\"` of the process's count. Without it, the same percentage as `weight`, and one where there is none."},
		{name: "hold", kind: kindDuration, fallback: "0s", longest: 30 * day, doc: "The share stays for that long. The run waits."},
		{name: "verify", kind: kindRefs, target: "change.NAME.VERIFY", doc: "Asked after the hold: verifies of changes, while both shapes are there, and analyses, such as `analysis.errors`. What is not right fails the rollout."},
	},
	blocks: []*block{matchTable("match", "Requests that the new release gets besides its share, whatever that is; also in the steps after, but where those have some of their own. Several are several groups: it gets the requests of each.", true), approveTable},
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
func matchTable(name, doc string, several bool) *block {
	return &block{
		name: name, single: !several, doc: doc,
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
		{name: "grpc", doc: "An answer SERVING by gRPC's health checking protocol, without TLS.", attributes: []attribute{checkService, checkPort, smokeTimeout}},
		{name: "exec", doc: "A program that exits with 0. It runs on the instance's host, with its environment.", attributes: []attribute{
			{name: "command", kind: kindStrings, required: true, doc: "Program and arguments. `$${ADDR}`, `$${PORT}` and `$${ARTIFACT}` are filled in."},
			smokeTimeout}},
	},
	later: []string{"sql"},
}

var smokeTimeout = attribute{name: "timeout", kind: kindDuration, fallback: "10s", shortest: 10 * time.Millisecond, longest: time.Hour, doc: "For the answer."}
