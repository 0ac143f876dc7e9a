package spec

import "time"

// Occasions are what notices may be about, in the order in which they come.
var Occasions = []string{"plan", "start", "approval", "checkpoint", "failure", "rollback", "interrupted", "deferred", "done"}

var notifyTable = &block{
	name: "notify", labels: []string{"NAME"},
	doc: "Somebody who is told how runs go. One who cannot be reached stops nothing: the run says so at its end. Exactly one way to tell.",
	attributes: []attribute{
		{name: "on", kind: kindStrings, doc: "What is told: `plan` (one was saved, with `pleat plan --out`), `start`, `approval` (a step waits for one), `checkpoint` (from there on a failure goes back to it), `failure`, `rollback` (a run that failed has gone back, all the way or to a checkpoint), `interrupted`, `deferred`, `done`. Without it, all of these."},
	},
	blocks: []*block{
		{name: "webhook", single: true, doc: "A POST of a JSON object with `occasion`, `run`, `kind`, `headline`, `step`, `text`, `who`, `host` and `at`. 2xx is heard.", attributes: []attribute{
			inquiryURL, inquiryHeaders,
			{name: "timeout", kind: kindDuration, fallback: "10s", shortest: 10 * time.Millisecond, longest: time.Minute, doc: "For one attempt, of which there are three."}}},
		{name: "slack", single: true, doc: "An incoming webhook of Slack, or of what understands its `{\"text\": …}`.", attributes: []attribute{
			inquiryURL,
			{name: "timeout", kind: kindDuration, fallback: "10s", shortest: 10 * time.Millisecond, longest: time.Minute, doc: "For one attempt, of which there are three."}}},
	},
	later: []string{"email", "command", "pagerduty"},
}
