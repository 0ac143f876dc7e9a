package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

// recover does what a person does after a crash, and wants the one state that
// may come of it.
func (s *sequence) recover(action string) {
	s.t.Helper()
	if action == "apply" {
		s.applyAgain()
		return
	}
	s.rollBack()
}

// applyAgain ends in the planned state, unless going back was decided before.
func (s *sequence) applyAgain() {
	s.t.Helper()
	decided, open, held := s.decided(), s.open(), s.held()
	s.idle = !open && s.picture() == s.planned()
	e := s.pleat("apply", "--auto-approve")
	switch {
	case held && !open:
		s.ends(e, exitBlocked) // it went back and ended
	case decided && open, s.world.exit == exitRolledBack:
		s.ends(e, exitRolledBack)
	default:
		s.ends(e, exitDone)
		s.is("planned", s.planned())
		s.once()
		s.startedOnce()
		return
	}
	s.isOld(e)
}

// rollBack ends in the old state, or is refused and changes nothing where
// there is no way back, after which apply still finishes.
func (s *sequence) rollBack() {
	s.t.Helper()
	s.orphansEnd()
	before, open, started := s.picture(), s.open(), s.started()
	e := s.pleat("rollback", "--auto-approve")
	switch {
	case e.code == exitDone:
		s.isOld(e)
		if open && s.lost() {
			s.t.Errorf("it went back from where there is no way back\n%s", e.output)
		}
		if s.world.exit == exitDone && started != s.held() {
			s.t.Errorf("a start of the release was begun: %t, and it is on hold: %t", started, s.held())
		}
	case e.code != exitError:
		s.t.Fatalf("rollback: exit %d\n%s", e.code, e.output)
	case open && !s.lost():
		s.t.Fatalf("rollback was refused, and nothing is lost yet\n%s", e.output)
	default:
		s.is("what it was before the refused rollback", before)
		if open && !strings.Contains(e.output, "pleat apply") {
			s.t.Errorf("the refusal does not say how to go on:\n%s", e.output)
		}
		if open && strings.Contains(e.output, "Taking it back") {
			s.t.Errorf("it is refused, and says what it does:\n%s", e.output)
		}
	}
	if s.world.exit == exitDone && (!s.frozen || e.code != exitDone) {
		s.applyAfter()
	}
}

// applyAfter a rollback needs the hold lifted where a release had come up.
func (s *sequence) applyAfter() {
	s.t.Helper()
	held := s.held()
	s.whole()
	e := s.lane.pleat("", "apply", "--auto-approve")
	if held {
		s.ends(e, exitBlocked)
		e = s.lane.pleat("", "apply", "--auto-approve", "--lift-hold", "try again")
	}
	s.ends(e, exitDone)
	s.is("planned", s.planned())
}

// planned is what the world's apply leads to.
func (s *sequence) planned() string {
	name := cmp.Or(s.world.forward, s.world.name)
	return s.matrix.references[name].planned
}

// is wants a picture of what is live.
func (s *sequence) is(what, want string) {
	s.t.Helper()
	if got := s.picture(); got != want {
		s.t.Fatalf("live is not %s:\n%s\nwant:\n%s", what, got, want)
	}
}

// isOld wants the old release, and the schema untouched or wholly expanded.
func (s *sequence) isOld(e ended) {
	s.t.Helper()
	got, untouched, expanded := s.picture(), s.matrix.references[s.world.name].before, ""
	if s.world.expanded != "" {
		expanded = s.matrix.references[s.world.expanded].planned
	}
	// Nobody brings back an invalid index that was there before.
	if got != untouched && got != withoutInvalid(untouched) && got != expanded {
		s.t.Fatalf("live is not the old state:\n%s\nuntouched:\n%s\nexpanded:\n%s\n%s", got, untouched, expanded, e.output)
	}
}

func withoutInvalid(picture string) string {
	var kept []string
	for line := range strings.Lines(picture) {
		if !strings.HasSuffix(line, " INVALID\n") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// picture is what is live, in words, with the releases as old and new.
func (s *sequence) picture() string {
	s.t.Helper()
	text := s.catalog() + s.instances()
	old, fresh := s.lane.live, s.wanted
	return strings.NewReplacer(" "+old+" ", " OLD ", " "+fresh+" ", " NEW ").Replace(text)
}

// catalogQuery names everything that pleat may leave on the table and of its
// own.
const catalogQuery = `
select line from (
  select 'column ' || attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end
  from pg_attribute where attrelid = 'users'::regclass and attnum > 0 and not attisdropped
  union all
  select 'index ' || indexrelid::regclass || case when indisvalid and indisready then '' else ' INVALID' end
  from pg_index where indrelid = 'users'::regclass
  union all
  select 'trigger ' || tgname from pg_trigger where tgrelid = 'users'::regclass and not tgisinternal
  union all
  select 'constraint ' || conname from pg_constraint where conrelid = 'users'::regclass
  union all
  select 'function ' || proname from pg_proc where pronamespace = 'pleat'::regnamespace
  union all
  select 'sequence ' || relname from pg_class
  where relnamespace = 'pleat'::regnamespace and relkind = 'S' and relname not like 'entry%'
) as lines (line) order by 1`

func (s *sequence) catalog() string {
	s.t.Helper()
	return strings.Join(s.lines(catalogQuery), "\n") + "\n"
}

func (s *sequence) lines(query string, args ...any) []string {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), query, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	return lines
}

// instances are the lane's, and what its router sends requests to.
func (s *sequence) instances() string {
	s.t.Helper()
	if !s.world.serves {
		return ""
	}
	st, err := s.lane.agentState(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, i := range st.Instances {
		lines = append(lines, fmt.Sprintf("instance %s %s is %s", i.Release, i.Instance, i.State))
	}
	for _, r := range st.Routes {
		for _, share := range r.Shares {
			lines = append(lines, fmt.Sprintf("share %s %d", share.Release, share.Percent))
		}
		for _, b := range r.Backends {
			lines = append(lines, fmt.Sprintf("backend %s %s draining %t", b.Release, b.Instance, b.Draining))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// effects is the DDL that took effect, sorted.
func (s *sequence) effects() string {
	s.t.Helper()
	return strings.Join(s.lines("select tag || ' ' || object from audit.ddl order by 1"), "\n")
}

// once wants every effect as often as when nobody disturbs, and each row
// filled once at most.
func (s *sequence) once() {
	s.t.Helper()
	if s.world.repeats {
		return
	}
	want := s.matrix.references[cmp.Or(s.world.forward, s.world.name)].effects
	if got := s.effects(); got != want {
		s.t.Errorf("effects:\n%s\nwant:\n%s", got, want)
	}
	if twice := s.lines("select id::text from audit.filled group by id having count(*) > 1"); len(twice) > 0 {
		s.t.Errorf("back-filled twice: %v", twice)
	}
}

// settled wants nothing left over, and what must hold of every case.
func (s *sequence) settled() {
	s.t.Helper()
	s.orphansEnd()
	s.leftovers()
	s.journal()
	s.rows()
	s.tasks()
	s.confirmed()
	if failed := s.lane.traffic.failed(); len(failed) > 0 {
		s.t.Errorf("%d requests failed: %s", len(failed), failed[0])
	}
}

// orphansEnd waits until the server has noticed who is gone.
func (s *sequence) orphansEnd() {
	s.t.Helper()
	if s.frozen {
		return
	}
	if err := polled("the end of pleat's sessions", func() error {
		left, err := sessionsLeft(s.t.Context(), s.db)
		if err != nil || len(left) == 0 {
			return err
		}
		return fmt.Errorf("%v", left)
	}); err != nil {
		s.t.Error(err)
	}
}

func (s *sequence) leftovers() {
	s.t.Helper()
	if held := s.lines("select run from pleat.lease where id is not null"); len(held) > 0 && !s.idle {
		s.t.Errorf("the lease is held by %v", held)
	}
	if open := s.lines("select id from pleat.run where finished is null"); len(open) > 0 {
		s.t.Errorf("runs are open: %v", open)
	}
	for _, pattern := range []string{".*", "one/.*", "one/instances/.*"} {
		if files, err := filepath.Glob(filepath.Join(s.lane.dir, pattern)); err != nil || len(files) > 0 {
			s.t.Errorf("files are left: %v %v", files, err)
		}
	}
}

func sessionsLeft(ctx context.Context, c *pgx.Conn) ([]string, error) {
	rows, err := c.Query(ctx, `
		select application_name || ': ' || query from pg_stat_activity
		where datname = current_database() and application_name like 'pleat%'`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// rows wants every row, and in it what its last writer wrote, in each shape
// that is there.
func (s *sequence) rows() {
	s.t.Helper()
	if s.writer.failure != nil {
		s.t.Errorf("the writer failed: %v", s.writer.failure)
	}
	for _, expression := range s.shapes() {
		rows, err := s.db.Query(s.t.Context(), "select id, coalesce("+expression+", '') from users")
		if err != nil {
			s.t.Fatal(err)
		}
		found := map[int64]string{}
		var id int64
		var name string
		if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { found[id] = name; return nil }); err != nil {
			s.t.Fatal(err)
		}
		s.compare(expression, found)
	}
}

// shapes are the expressions that give a user's name.
func (s *sequence) shapes() []string {
	catalog := s.catalog()
	var all []string
	if strings.Contains(catalog, "column name ") {
		all = append(all, "name")
	}
	if strings.Contains(catalog, "column first ") && !s.partlyFilled() {
		all = append(all, "concat_ws(' ', first, last)")
	}
	return all
}

// partlyFilled tells that the new shape was never completed.
func (s *sequence) partlyFilled() bool {
	return pgtest.Value[bool](s.t, s.db, "select not exists (select from pleat.change where units ? 'backfill.users')")
}

func (s *sequence) compare(expression string, found map[int64]string) {
	s.t.Helper()
	wrong := 0
	for id := int64(1); id <= matrixRows; id++ {
		want := s.writer.names[id]
		if want == "" {
			want = fmt.Sprintf("first%d last%d", id, id)
		}
		if found[id] != want {
			wrong++
		}
	}
	for id, want := range s.writer.names {
		if found[id] != want {
			wrong++
		}
	}
	if wrong > 0 || len(found) < matrixRows {
		s.t.Errorf("%d of %d users have another %s than was written", wrong, len(found), expression)
	}
}

// journal wants that each step was done once at most, after all that it needs,
// and that no fence came after a higher one.
func (s *sequence) journal() {
	s.t.Helper()
	if falls := s.lines(`
		select run || ' ' || seq from (select run, seq, fence, lag(fence) over (order by seq) as before from pleat.entry) e
		where fence < before`); len(falls) > 0 {
		s.t.Errorf("fences fall at %v", falls)
	}
	for _, run := range s.lines("select id from pleat.run") {
		s.story(run)
	}
}

func (s *sequence) story(run string) {
	s.t.Helper()
	raw := pgtest.Value[string](s.t, s.db, "select plan::text from pleat.run where id = $1", run)
	plan, err := planner.Decode([]byte(raw))
	if err != nil {
		s.t.Fatal(err)
	}
	needs := map[string][]string{}
	for _, step := range plan.Steps {
		needs[step.ID] = step.Needs
	}
	done := map[string]bool{}
	for _, line := range s.lines("select step || '|' || status from pleat.entry where run = $1 order by seq", run) {
		step, status, _ := strings.Cut(line, "|")
		if status != "done" && status != "settled" {
			continue
		}
		if done[step] {
			s.t.Errorf("run %s: %s was done twice", run, step)
		}
		done[step] = true
		for _, need := range needs[step] {
			if !done[need] {
				s.t.Errorf("run %s: %s was done before %s, which it needs", run, step, need)
			}
		}
	}
}

// ranFile is where the world's tasks write that they ran.
func (s *sequence) ranFile() string { return filepath.Join(s.lane.dir, "ran") }

// tasks wants that each task ran once for each run that has it done, and never
// more than once for one that began it; and was taken back by those alone.
func (s *sequence) tasks() {
	s.t.Helper()
	raw, err := os.ReadFile(s.ranFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	ran := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		ran[strings.TrimSpace(line)]++
	}
	for line, task := range map[string]string{"seed": "seed", "tell web.1": "tell", "tell web.2": "tell"} {
		begun, done := s.runsThat(task, "started"), s.runsThat(task, "done", "settled")
		if ran[line] < done || ran[line] > begun {
			s.t.Errorf("%q was run %d times: %d runs began it, %d have it done", line, ran[line], begun, done)
		}
	}
	if begun, undone := s.runsThat("seed", "started"), s.runsThat("seed", "undone"); ran["unseed"] > min(begun, undone) {
		s.t.Errorf("the undo was run %d times: %d runs began the task, %d have it undone", ran["unseed"], begun, undone)
	}
}

// runsThat counts the runs in which a task has one of these in the journal.
func (s *sequence) runsThat(task string, statuses ...string) int {
	s.t.Helper()
	return len(s.lines("select distinct run from pleat.entry where step like '%/task/' || $1 || '%' and status = any($2)", task, statuses))
}

func (s *sequence) yes(query string) bool {
	s.t.Helper()
	return pgtest.Value[bool](s.t, s.db, "select exists ("+query+")")
}

func (s *sequence) open() bool { return s.yes("select from pleat.run where finished is null") }

// decided tells whether a rollback was.
func (s *sequence) decided() bool { return s.yes("select from pleat.entry where step = 'rollback'") }

func (s *sequence) held() bool { return s.yes("select from pleat.release where held <> ''") }

// started tells whether a start of the new release was begun.
func (s *sequence) started() bool {
	return s.yes("select from pleat.entry where step like '%/" + s.wanted + "/start/%'")
}

// lost tells whether a step took effect that nothing takes back.
func (s *sequence) lost() bool {
	return s.yes("select from pleat.mark where step like '%/drop.%'") || s.world.clustered() && len(s.noteOf("promoted")) > 0
}

// worldNamed is the world of that name, nil for none.
func worldNamed(name string) *matrixWorld {
	for _, w := range matrixWorlds {
		if w.name == name {
			return w
		}
	}
	return nil
}
