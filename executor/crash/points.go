package crash

import "slices"

// Point is a place where the program may die.
type Point struct {
	Name string
	Doc  string // what has happened by then
}

// Points are all of them, by area and in the order in which a run reaches
// them.
func Points() []Point { return slices.Clone(points) }

func declared(name string) bool {
	return slices.ContainsFunc(points, func(p Point) bool { return p.Name == name })
}

var points = []Point{
	{"lease.before_take", "nothing yet"},
	{"lease.taken", "the lease is ours, the caller does not know it"},
	{"lease.before_heartbeat", "a heartbeat is due"},
	{"lease.before_release", "the work is over, the lease is ours"},
	{"lease.released", "the lease is free, the caller does not know it"},

	{"run.recorded", "the run's row is written"},
	{"run.between_steps", "a step is over, the next has not begun"},
	{"run.before_end", "the last step is over, the run is still open"},
	{"run.ended", "the run's end is written"},

	{"event.told", "an event is written and whoever watches was told"},

	{"step.before_start", "the step is chosen, nothing is written"},
	{"step.started", "the step's start is written"},
	{"step.sent", "a statement of the step was carried out, its transaction is open"},
	{"step.commit_sent", "COMMIT of the step was sent, its answer not read"},
	{"step.applied", "the effect is there, the step's end is not written"},
	{"step.finished", "the step's end is written, nobody was told"},

	{"index.building", "an index is being built"},
	{"index.dropped", "an invalid index is dropped, the build is still to come"},

	{"migrate.intended", "it is recorded that a statement of a file is sent alone, and not sent"},
	{"migrate.sent", "the statement is through, and that is not recorded"},
	{"migrate.between", "a part of a file is recorded, the next has not begun"},

	{"backfill.updated", "a batch is updated, not committed"},
	{"backfill.commit_sent", "COMMIT of a batch was sent, its answer not read"},
	{"backfill.between", "a batch is committed, the next has not begun"},
	{"backfill.before_mark", "the last batch is committed, the mark is not"},

	{"rollout.called", "a call to an orchestrator or router was sent, its answer not read"},
	{"rollout.answered", "the call was answered, the step's end is not written"},
	{"rollout.draining", "instances are being drained"},

	{"rollback.decided", "a rollback was decided, nothing is undone"},
	{"rollback.in_undo", "an undo has begun"},
	{"rollback.undone", "an undo took effect, it is not written down"},

	{"file.created", "a temporary file is there, empty"},
	{"file.written", "the temporary file is written, not synced"},
	{"file.synced", "the temporary file is on disk"},
	{"file.renamed", "the file has its name"},
	{"file.directory_synced", "the name is on disk"},
}
