package spec

// windowArgument is for what keeps to a window.
func windowArgument(what string) attribute {
	return attribute{name: "window", kind: kindRef, target: "window.NAME", doc: what + " at these times only. A way back keeps to none."}
}

var windowTable = &block{
	name: "window", labels: []string{"NAME"},
	doc: "Times at which steps may run of what names it. What is told of them is what a clock on the wall shows: where it is set back, an hour counts twice; where it is set forward, one never comes. A step that would run at another time is deferred, and says when the window opens.",
	attributes: []attribute{
		{name: "timezone", kind: kindString, required: true, doc: "Whose clock: a name of the tz database such as `Europe/Berlin`, or `UTC`."},
	},
	blocks: []*block{{
		name: "allow", doc: "Hours of some days. Several are taken together; without any, all times are allowed that no `deny` has.",
		attributes: []attribute{
			{name: "days", kind: kindStrings, doc: "Of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`. Without it, every day."},
			{name: "from", kind: kindString, fallback: "00:00", doc: "`HH:MM`."},
			{name: "to", kind: kindString, fallback: "24:00", doc: "`HH:MM`, by when it is over. Before `from`, it is of the day after, and all of it belongs to the day on which it began."},
		},
	}, {
		name: "deny", doc: "A time at which nothing runs, whatever is allowed.",
		attributes: []attribute{
			{name: "from", kind: kindString, required: true, doc: "`YYYY-MM-DD`, or `YYYY-MM-DD HH:MM`."},
			{name: "to", kind: kindString, required: true, doc: "The last day of it, or the minute by which it is over."},
			{name: "reason", kind: kindString, required: true, doc: "For who reads that a step waits."},
			{name: "only", kind: kindString, oneOf: []string{string(SchemaSteps), string(RolloutSteps)}, doc: "`schema`: steps of changes and migrations do not run, rollouts do; `rollouts`: the other way round. Without it, neither do."},
		},
	}},
}
