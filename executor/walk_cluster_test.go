package executor_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pleat/executor"
	"pleat/planner"
	"pleat/providers/fake"
)

// ensemble is the cluster that the instances of web make up among themselves, and
// what is wrong with it: whatever goes wrong, nothing that pleat asks for leaves it
// without a copy of what is confirmed, and no two of it take writes.
type ensemble struct {
	*walker
	// own: who takes the place of the primary is their own matter. Otherwise one has
	// to be promoted.
	own     bool
	mu      sync.Mutex
	members map[string]*member
	leader  *member // who takes the writes, or took them last
	second  *member // who has a write before it counts; nil: nobody
	writes  int     // grows when others take what is written
	lags    bool    // whoever joins next takes long
}

// member is an instance of web.
type member struct {
	service, release, name string

	start   int  // counts its starts
	up      bool // it runs
	caught  bool // it had the time to catch up
	ready   bool // it did
	leaving bool
	led     bool // it took the writes when it was told to go
	has     int  // of the writes
	said    planner.Role
}

const (
	joining   = 5 * time.Second // until one has caught up
	telling   = 200 * time.Millisecond
	restarted = 20 * time.Second // after it went by itself
	takenOver = time.Second      // after the primary went
)

// cluster makes web one, where the walk is of one.
func (w *walker) cluster(in setting) {
	if in.Cluster {
		w.members = &ensemble{walker: w, own: !in.Promote, members: map[string]*member{}}
	}
}

// A cluster that was made smaller is whole, and goes on to the next release.
func TestASmallerClusterIsWhole(t *testing.T) {
	four := shape{Release: 1, Strategy: "primary_last", Promote: true, Web: 4}
	three, next := four, four
	three.Web, next.Release = 3, 2
	for _, s := range []shape{four, three, next} {
		s.spec(t)
	}
	told(t, setting{Cluster: true, Promote: true}, func(w *walker) {
		for _, s := range []shape{four, three, next} {
			w.arrive(t, s)
		}
	})
}

// A member that went by itself stays one where a start of it takes too long and the
// run goes back: it comes up in its own time, and the cluster is whole again.
func TestAMemberThatComesBackLateStaysOne(t *testing.T) {
	old, fresh := inTurn(t, shape{Release: 1, Strategy: "primary_last", Web: 3}, 2)
	end := ""
	w := told(t, setting{Cluster: true}, func(w *walker) {
		w.arrive(t, old)
		w.crash(2)
		w.calls, w.incidents = 0, []incident{{What: "lags", At: 1}}
		end = w.turn(t, turn{Shape: old})
		w.arrive(t, fresh)
	})
	if end != string(executor.RolledBack) {
		t.Errorf("%s\n%s", end, w.text())
	}
}

// Whenever pleat dies, and with a program that it runs not at its end, a rollback
// that follows makes no second primary: one that is being promoted has to be it, or
// not, before the old one is started again.
func TestNobodyTakesWritesBesideOneThatIsPromoted(t *testing.T) {
	old, fresh := inTurn(t, shape{Release: 1, Strategy: "primary_last", Promote: true, Web: 3}, 2)
	met := false
	for at := range 20 {
		told(t, setting{Cluster: true, Promote: true}, func(w *walker) {
			w.arrive(t, old)
			w.calls, w.incidents = 0, []incident{{What: "die while", At: at + 1}}
			if end := w.turn(t, turn{Shape: fresh}); end == "killed" {
				met = true
				w.turn(t, turn{Shape: fresh, Back: true})
			}
			w.arrive(t, fresh)
		})
	}
	if !met {
		t.Error("pleat never died")
	}
}

// A way back takes nobody away who alone has what a primary had that is not there. It
// stops there, and goes on once the primary is back.
func TestAWayBackLeavesTheOnlyCopy(t *testing.T) {
	for _, promote := range []bool{false, true} {
		old, fresh := inTurn(t, shape{Release: 2, Strategy: "primary_last", Promote: promote, Web: 4}, 1)
		const stop, back = 2, 12 // the calls that stop the first old one, and take back the first new one
		var ends []string
		w := told(t, setting{Cluster: true, Promote: promote}, func(w *walker) {
			w.arrive(t, old)
			w.calls, w.incidents = 0, []incident{{What: "fails over", At: stop}, {What: "an instance crashes", At: back, Which: 2}}
			ends = append(ends, w.turn(t, turn{Shape: fresh}))
			time.Sleep(2 * restarted)
			ends = append(ends, w.turn(t, turn{Shape: fresh}))
			w.arrive(t, fresh)
		})
		if want := []string{string(executor.Failed), string(executor.RolledBack)}; !slices.Equal(ends, want) {
			t.Errorf("with promote %t it ended as %q, want %q\n%s", promote, ends, want, w.text())
		}
	}
}

// A program that promotes, and then ends badly or is killed, has promoted: the run
// stops there, nothing takes it back, and the next apply goes on.
func TestAPromotionThatFailedAfterItsEffectStands(t *testing.T) {
	for name, whats := range map[string][]string{"it ends badly": {"spoil"}, "it is killed": {"spoil", "linger for long"}} {
		t.Run(name, func(t *testing.T) {
			var end, back, on string
			promotesWith(t, whats, func(w *walker, to shape, ended string) {
				end = ended
				back = w.turn(t, turn{Shape: to, Back: true})
				on = w.turn(t, turn{Shape: to})
			})
			if end != string(executor.Failed) || !strings.HasSuffix(back, stands) || on != string(executor.Complete) {
				t.Errorf("it ended as %q, a rollback as %q, and the next apply as %q", end, back, on)
			}
		})
	}
}

// Where nobody can tell whether a program that failed has promoted somebody, nothing is
// taken back until that can be told.
func TestAPromotionThatNobodyCanTellOfStopsTheRun(t *testing.T) {
	var end, back string
	primaries := 0
	promotesWith(t, []string{"fail", "blind"}, func(w *walker, to shape, ended string) {
		end = ended
		for _, i := range w.instances() {
			if i.Release != to.version() && i.State == planner.Up {
				primaries++
			}
		}
		back = w.turn(t, turn{Shape: to, Back: true})
	})
	if end != string(executor.Failed) || primaries > 0 || back != string(executor.RolledBack) {
		t.Errorf("it ended as %q with %d of the old up, and a rollback as %q", end, primaries, back)
	}
}

// promotesWith has a cluster go to another release, and that go wrong as it promotes.
func promotesWith(t *testing.T, whats []string, then func(w *walker, to shape, ended string)) {
	t.Helper()
	old, fresh := inTurn(t, shape{Release: 1, Strategy: "primary_last", Promote: true, Web: 3}, 2)
	const promotes = 9 // the call
	w := told(t, setting{Cluster: true, Promote: true}, func(w *walker) {
		w.arrive(t, old)
		w.calls, w.incidents = 0, nil
		for _, what := range whats {
			w.incidents = append(w.incidents, incident{What: what, At: promotes})
		}
		then(w, fresh, w.turn(t, turn{Shape: fresh}))
		w.arrive(t, fresh)
	})
	if !strings.Contains(w.text(), whats[len(whats)-1]+"\n  promote ") {
		t.Errorf("that call does not promote:\n%s", w.text())
	}
}

// Where a run was cut short and a person promoted somebody, a rollback starts no primary
// beside that one.
func TestNobodyTakesWritesBesideOneThatAPersonPromoted(t *testing.T) {
	old, fresh := inTurn(t, shape{Release: 1, Strategy: "primary_last", Promote: true, Web: 3}, 2)
	met := false
	for at := range 20 {
		told(t, setting{Cluster: true, Promote: true}, func(w *walker) {
			w.arrive(t, old)
			w.calls, w.incidents = 0, []incident{{What: "die after", At: at + 1}}
			w.turn(t, turn{Shape: fresh})
			w.members.takeOver()
			time.Sleep(2 * telling)
			if end := w.turn(t, turn{Shape: fresh, Back: true}); strings.HasSuffix(end, stands) {
				met = true
			}
			w.arrive(t, fresh)
		})
	}
	if !met {
		t.Error("no rollback was ever refused")
	}
}

// changed is what the fake tells of an instance.
func (e *ensemble) changed(i planner.Instance) {
	if i.Process != "web" || i.Service != "users" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id := i.Release + " " + i.Name
	m := e.members[id]
	if m == nil {
		m = &member{service: i.Service, release: i.Release, name: i.Name}
		e.members[id] = m
	}
	switch i.State {
	case planner.Starting:
		e.starts(m)
	case planner.Stopping:
		e.leaves(m)
	case planner.Down:
		e.ends(m)
	}
	e.settle()
}

// starts has a member catch up.
func (e *ensemble) starts(m *member) {
	if m.led && !e.own && e.leader != m && back(e.step) {
		e.breaks("%s %s, which took writes, is started again beside %s %s, which takes them", m.release, m.name, e.leader.release, e.leader.name)
	}
	m.start++
	m.led, m.up, m.caught, m.ready, m.leaving, m.said = false, true, false, false, false, ""
	if e.leader == nil {
		e.leader, e.writes, m.has = m, 1, 1
	}
	start, after := m.start, joining
	if e.lags && m != e.leader {
		e.lags, after = false, 10*time.Minute
	}
	time.AfterFunc(after, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if m.start == start && m.up {
			m.caught = true
			e.settle()
		}
	})
}

// leaves is that pleat has one stop.
func (e *ensemble) leaves(m *member) {
	p := e.promises[e.ticket.Run]
	if p.whole && m.ready && e.leader.has == e.writes {
		e.mayLeave(m, p)
	}
	m.leaving, m.led = true, e.leader == m
}

// mayLeave wants a copy of all that is confirmed after one went and, before the
// primary goes, a new one in the place of each old one.
func (e *ensemble) mayLeave(m *member, p promise) {
	s := p.shape
	anyone := func(*member) bool { return true }
	switch m {
	case e.leader:
		if e.others(m, func(o *member) bool { return o.has == e.writes }) == 0 {
			e.breaks("the primary %s %s is to go, and nobody else has all that is confirmed", m.release, m.name)
		}
		if there := e.others(m, func(o *member) bool { return o.release == s.version() }); m.release != s.version() && !back(e.step) && there < min(s.Web, p.were) {
			e.breaks("the primary %s %s is to go, and of those that come %d have caught up, of %d", m.release, m.name, there, min(s.Web, p.were))
		}
	case e.second:
		if !e.takesWrites() {
			e.breaks("%s %s is to go, which alone has what a primary had that is not there", m.release, m.name)
		} else if e.others(m, anyone) < 2 {
			e.breaks("%s %s is to go, and nobody can have a write in its place", m.release, m.name)
		}
	}
}

// others counts those that have caught up and stay, but for one.
func (e *ensemble) others(but *member, are func(*member) bool) (n int) {
	for _, o := range e.members {
		if o != but && o.ready && !o.leaving && are(o) {
			n++
		}
	}
	return n
}

func (e *ensemble) takesWrites() bool { return e.leader != nil && e.leader.ready }

// ends is that one is not there any more. One that went by itself comes again.
func (e *ensemble) ends(m *member) {
	came := m.ready
	m.up, m.caught, m.ready = false, false, false
	if came && !m.leaving {
		time.AfterFunc(restarted, func() { e.system.ComeBack(m.service, m.release, m.name) })
	}
	if e.own && e.leader == m {
		time.AfterFunc(takenOver, e.takeOver)
	}
}

// takeOver makes one primary that has all that is confirmed, where there is none.
func (e *ensemble) takeOver() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leader == nil || e.leader.up {
		return
	}
	next := e.second
	for _, m := range e.members {
		if next == nil && m.caught && m.has == e.writes {
			next = m
		}
	}
	if next != nil {
		e.leader, e.second = next, nil
		e.settle()
	}
}

// lag has whoever joins next take long to catch up.
func (e *ensemble) lag() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lags = true
}

// failOver swaps the primary and the synchronous one, as a person may.
func (e *ensemble) failOver() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.second; e.takesWrites() && m != nil && m.ready && !m.leaving && !e.leader.leaving {
		e.leader, e.second = m, nil
		e.settle()
	}
}

// ran is what the fake tells of a program that ended well.
func (e *ensemble) ran(r fake.TaskRun) {
	if r.Task != "promote" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.members[r.Release+" "+r.Instance]
	if m == e.leader {
		return
	}
	if e.leader.up {
		e.breaks("%s %s takes writes, and so does %s %s", m.release, m.name, e.leader.release, e.leader.name)
	}
	if m.has < e.writes {
		e.breaks("%s %s takes writes, and lacks some that are confirmed", m.release, m.name)
	}
	e.leader, e.second = m, nil
	e.settle()
}

// settle has the members find out what they are. Without a primary they are what they
// were.
func (e *ensemble) settle() {
	if e.leader == nil {
		return
	}
	e.leader.ready = e.leader.caught
	if !e.leader.ready {
		return
	}
	var able []*member
	for _, id := range slices.Sorted(maps.Keys(e.members)) {
		m := e.members[id]
		m.ready = m.caught
		if m.ready && !m.leaving && m != e.leader {
			able = append(able, m)
		}
	}
	if (e.second == nil || !e.second.ready) && len(able) > 0 {
		e.second = able[0]
		e.writes++
		e.leader.has, e.second.has = e.writes, e.writes
	}
	for _, m := range e.members {
		if m.ready {
			e.say(m)
		}
	}
}

// say has a member say what it is, a little later.
func (e *ensemble) say(m *member) {
	role := planner.Async
	switch m {
	case e.leader:
		role = planner.Primary
	case e.second:
		role = planner.Sync
	}
	if role == m.said {
		return
	}
	m.said = role
	start := m.start
	time.AfterFunc(telling, func() {
		e.mu.Lock()
		still := m.start == start && m.said == role
		e.mu.Unlock()
		if still {
			e.system.Say(m.service, m.release, m.name, role)
		}
	})
}
