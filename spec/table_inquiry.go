package spec

import "time"

// expectArgument is for what answers with a value.
func expectArgument(doc string) attribute {
	return attribute{name: "expect", kind: kindString, doc: doc}
}

var (
	inquiryTimeout = attribute{name: "timeout", kind: kindDuration, fallback: "10s", shortest: 10 * time.Millisecond, longest: time.Hour, doc: "For one answer."}
	inquiryURL     = attribute{name: "url", kind: kindText, required: true, doc: "`http://…` or `https://…`; never shown where it is sensitive."}
	inquiryHeaders = attribute{name: "headers", kind: kindTextMap, doc: "Headers of the request; never shown where they are sensitive."}
)

// inquiryTables are the ways to ask. judged adds what an answer of a kind must be
// like.
func inquiryTables(judged func(kind, what string) []attribute) []*block {
	return []*block{
		{name: "http", single: true, doc: "A GET. A status of 400 or above is no answer.", attributes: append(
			[]attribute{inquiryURL, inquiryHeaders, inquiryTimeout}, judged("http", "the fields of the JSON object in the body, `body`, which is all of it, and `status`")...)},
		{name: "prometheus", single: true, doc: "An instant query to a Prometheus server. It must give one number; none, or NaN, is no data.", attributes: append(
			[]attribute{inquiryURL, inquiryHeaders, inquiryTimeout,
				{name: "query", kind: kindString, required: true, doc: "PromQL. `$${service}`, `$${release}` and `$${old}` are filled in; with `$${release}` in it, the same is asked of the release before for `old`."}},
			judged("prometheus", "`value` and, in an analysis, `old`")...)},
		{name: "sql", single: true, doc: "A query, in a transaction that can write nothing. Its first row is the answer; no row is no data.", attributes: append(
			[]attribute{
				{name: "database", kind: kindRef, target: "database.NAME", doc: "Without it, the only database."},
				{name: "sql", kind: kindString, required: true, doc: "One query."}, inquiryTimeout},
			judged("sql", "the row's columns, and `value`, which is the first")...)},
		{name: "command", single: true, doc: "A program, run where pleat runs, in the spec's directory. It finds `PLEAT_SERVICE`, `PLEAT_RELEASE` and `PLEAT_OLD_RELEASE` in its environment.", attributes: append(
			[]attribute{{name: "command", kind: kindStrings, required: true, doc: "Program and arguments."}, inquiryTimeout},
			judged("command", "`exit`, the fields of a JSON object that it prints, and `value`, the number that it prints")...)},
	}
}

var gateTable = &block{
	name: "gate", labels: []string{"NAME"},
	doc: "A condition for steps of the services and changes that name it. It is asked before anything of a run is done and right before each of them, and is closed while there is no answer. Exactly one way to ask.",
	blocks: append(inquiryTables(func(_, what string) []attribute {
		return []attribute{expectArgument("Expression that is true while the gate is open, such as `\"open == 0\"`. It knows " + what + ". Without it, any answer opens the gate, and a command that exits with 0.")}
	}), &block{
		name: "file", single: true, doc: "A file of evidence, such as an earlier stage of a pipeline leaves.",
		attributes: []attribute{
			{name: "path", kind: kindString, required: true, doc: "Relative to the spec."},
			expectArgument("As for `http`, of the file's content. Without it, the file need only be there."),
		},
	}),
	later: []string{"window", "approve"},
}

var analysisTable = &block{
	name: "analysis", labels: []string{"NAME"},
	doc: "A question that is asked again and again while a release is tried; a step of a strategy names it in `verify`. One measurement passes, fails, or says nothing: without data it never passes. Exactly one way to ask.",
	attributes: []attribute{
		{name: "pass", kind: kindString, doc: "Expression under which a measurement passes, such as `\"value < 0.01\"`. Without it, one passes that does not fail."},
		{name: "fail", kind: kindString, doc: "Expression under which a measurement fails. Without it, one fails that does not pass; with both, one that does neither says nothing."},
		{name: "count", kind: kindCount, fallback: "1", min: 1, max: 10_000, doc: "Measurements."},
		{name: "interval", kind: kindDuration, fallback: "30s", shortest: 10 * time.Millisecond, longest: day, doc: "From one measurement to the next."},
		{name: "failures", kind: kindCount, fallback: "0", min: 0, max: 10_000, doc: "So many may fail."},
		{name: "inconclusive", kind: kindCount, fallback: "0", min: 0, max: 10_000, doc: "So many may say nothing."},
		{name: "min_samples", kind: kindCount, fallback: "0", min: 0, max: 1_000_000_000, doc: "A measurement that rests on fewer says nothing. How many those are is `samples`: a field or column of the answer, with `prometheus` a query."},
		{name: "dry_run", kind: kindBool, fallback: "false", doc: "A bad verdict is told and stops nothing."},
	},
	blocks: inquiryTables(func(kind, _ string) []attribute {
		if kind != string(InquiryPrometheus) {
			return nil
		}
		return []attribute{{name: "samples", kind: kindString, doc: "PromQL that gives what a measurement rests on, such as the requests of the same time: `samples`. No series are none. Required with `min_samples`."}}
	}),
	later: []string{"baseline", "web", "job"},
}
