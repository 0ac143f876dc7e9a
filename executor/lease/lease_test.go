package lease_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pleat/executor/lease"
	"pleat/migrations/bookkeeping"
	"pleat/migrations/conn"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

const (
	// childVariable makes the test binary a process that takes the lease in
	// the database that it names and keeps it.
	childVariable = "LEASE_CHILD"
	name          = "production"
)

// quick are terms that a test can wait for, and that a busy machine keeps: a
// heartbeat has its interval to connect and be answered.
var quick = lease.Terms{Heartbeat: 300 * time.Millisecond, Expiry: 2 * time.Second}

func TestMain(m *testing.M) {
	if url := os.Getenv(childVariable); url != "" {
		os.Exit(child(url))
	}
	os.Exit(m.Run())
}

func child(url string) int {
	holder, err := lease.Self("child")
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	l, err := lease.Take(context.Background(), spec.Plain(url), name, holder)
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	fmt.Println(l.Fence())
	select {}
}

// stateDatabase has pleat's tables.
func stateDatabase(t *testing.T) string {
	t.Helper()
	url := pgtest.New(t).Database(t)
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
		t.Fatal(err)
	}
	return url
}

func self(t *testing.T, run string) lease.Holder {
	t.Helper()
	h, err := lease.Self(run)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func take(t *testing.T, terms lease.Terms, url, run string) *lease.Lease {
	t.Helper()
	l, err := terms.Take(t.Context(), spec.Plain(url), name, self(t, run))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t, l) })
	return l
}

func release(t *testing.T, l *lease.Lease) {
	t.Helper()
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func show(t *testing.T, url string) *lease.Holder {
	t.Helper()
	h, err := lease.Show(t.Context(), spec.Plain(url), name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// P10, P26: a server that lacks the commit by which a lease was taken gives its fence
// to nobody else.
func TestAFenceThatWasForgottenDoesNotComeAgain(t *testing.T) {
	url := stateDatabase(t)
	forgotten := take(t, lease.Terms{}, url, "forgotten")
	pgtest.Exec(t, url, "delete from pleat.lease")
	next := take(t, lease.Terms{}, url, "next")
	if next.Fence() == forgotten.Fence() {
		t.Errorf("two holders have the fence %d", next.Fence())
	}
}

func TestOfEightContendersOneWinsEachRound(t *testing.T) {
	contenders, rounds := 8, 12
	if pgtest.Long() {
		rounds = 50
	}
	url := stateDatabase(t)
	var fence int64
	for round := range rounds {
		var winner atomic.Pointer[lease.Lease]
		var all sync.WaitGroup
		for n := range contenders {
			all.Go(func() {
				l, err := lease.Take(t.Context(), spec.Plain(url), name, self(t, fmt.Sprint(n)))
				var held *lease.HeldError
				switch {
				case err == nil && !winner.CompareAndSwap(nil, l):
					t.Errorf("round %d: a second winner", round)
					release(t, l)
				case err != nil && !errors.As(err, &held):
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		all.Wait()
		l := winner.Load()
		if l == nil {
			t.Fatalf("round %d: no winner", round)
		}
		if l.Fence() <= fence {
			t.Errorf("round %d: the fence went from %d to %d", round, fence, l.Fence())
		}
		fence = l.Fence()
		release(t, l)
	}
}

func TestARefusalSaysWhoHasItAndComesAtOnce(t *testing.T) {
	url := stateDatabase(t)
	l := take(t, lease.Terms{}, url, "r1")
	l.SetRun("r0")
	l.SetStep("backfill.users")
	eventually(t, "the step is shown", func() bool { return show(t, url).Step == "backfill.users" })
	// A step that holds the fence must not hold the refusal up.
	holdFence(t, url, l.Fence())
	start := time.Now()
	_, err := lease.Take(t.Context(), spec.Plain(url), name, self(t, "r2"))
	took := time.Since(start)
	var held *lease.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("err = %v", err)
	}
	host, hostErr := os.Hostname()
	if hostErr != nil {
		t.Fatal(hostErr)
	}
	for _, part := range []string{"already in progress", "run r0", host, fmt.Sprintf("pid %d", os.Getpid()), "since 20", "backfill.users", "heartbeat"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
	if !strings.Contains(held.Hint(), "pleat unlock "+held.Holder.ID) {
		t.Errorf("hint = %q", held.Hint())
	}
	if took > 500*time.Millisecond {
		t.Errorf("the refusal took %v", took)
	}
}

// holdFence keeps a transaction open that holds the lease where it is, as a
// step's does. The result ends it.
func holdFence(t *testing.T, url string, fence int64) (end func()) {
	t.Helper()
	c := pgtest.Connect(t, url)
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.HoldFence(t.Context(), tx, name, fence); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAStepLetsTheHeartbeatThroughAndHoldsUpATakeover(t *testing.T) {
	url := stateDatabase(t)
	l := take(t, lease.Terms{Heartbeat: 300 * time.Millisecond, Expiry: time.Minute}, url, "r1")
	end := holdFence(t, url, l.Fence())
	before := show(t, url).Beat
	eventually(t, "a heartbeat", func() bool { return show(t, url).Beat.After(before) })

	c := pgtest.Connect(t, url)
	pgtest.Exec(t, url, "update pleat.lease set process = '', until = clock_timestamp() + '1 hour'")
	if _, err := c.Exec(t.Context(), "set lock_timeout = '100ms'"); err != nil {
		t.Fatal(err)
	}
	const takeover = "update pleat.lease set fence = fence + 1"
	if _, err := c.Exec(t.Context(), takeover); err == nil || !strings.Contains(err.Error(), "55P03") {
		t.Errorf("a takeover beside a step: %v", err)
	}
	end()
	if _, err := c.Exec(t.Context(), takeover); err != nil {
		t.Errorf("a takeover after the step: %v", err)
	}
}

func TestAnExpiredLeaseIsTakenOverAndItsHolderCanWriteNothing(t *testing.T) {
	url := stateDatabase(t)
	old := startChild(t, url)
	if err := old.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Take(t.Context(), spec.Plain(url), name, self(t, "r2")); err == nil {
		t.Fatal("a frozen holder is no dead one, and its lease has not expired")
	}
	pgtest.Exec(t, url, "update pleat.lease set until = clock_timestamp() - interval '1 ms'")
	l := take(t, lease.Terms{}, url, "r2")
	if l.Fence() <= old.fence {
		t.Errorf("the fence went from %d to %d", old.fence, l.Fence())
	}
	c := pgtest.Connect(t, url)
	err := conn.InTransaction(t.Context(), c, func(tx conn.Tx) error {
		return conn.HoldFence(t.Context(), tx, name, old.fence)
	})
	var fenced *conn.FencedError
	if !errors.As(err, &fenced) {
		t.Errorf("the old fence: %v", err)
	}
	if err := old.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// Its heartbeats change nothing: the row is not its own any more.
	if h := show(t, url); h.Run != "r2" {
		t.Errorf("held by %s", h)
	}
}

func TestAKilledHolderOnThisHostIsReplacedAtOnce(t *testing.T) {
	url := stateDatabase(t)
	dead := startChild(t, url)
	if err := dead.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	eventually(t, "the lease is taken over", func() bool {
		l, err := lease.Take(t.Context(), spec.Plain(url), name, self(t, "r2"))
		if err != nil {
			return false
		}
		defer release(t, l)
		if l.Fence() <= dead.fence {
			t.Errorf("the fence went from %d to %d", dead.fence, l.Fence())
		}
		return true
	})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the takeover took %v", took)
	}
}

func TestOnlyAHolderWhoseDeathIsCertainIsReplaced(t *testing.T) {
	url := stateDatabase(t)
	dead := startChild(t, url)
	if err := dead.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := dead.cmd.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	c := pgtest.Connect(t, url)
	process := pgtest.Value[string](t, c, "select process from pleat.lease")
	if process == "" {
		t.Skip("this platform cannot tell processes apart")
	}
	for what, change := range map[string]string{
		"on another host":        "host = 'elsewhere'",
		"in another boot":        "process = 'x' || process",
		"in another namespace":   "process = replace(process, 'pid:[', 'pid:[1')",
		"that cannot be told":    "process = ''",
		"that is alive and well": fmt.Sprintf("pid = %d, process = %s", os.Getpid(), quoted(self(t, "").Process)),
	} {
		pgtest.Exec(t, url, "update pleat.lease set "+change)
		var held *lease.HeldError
		if _, err := lease.Take(t.Context(), spec.Plain(url), name, self(t, "r2")); !errors.As(err, &held) {
			t.Errorf("a holder %s: %v", what, err)
		}
		pgtest.Exec(t, url, fmt.Sprintf("update pleat.lease set host = %s, pid = %d, process = %s",
			quoted(self(t, "").Host), dead.cmd.Process.Pid, quoted(process)))
	}
	// Its PID may have gone to another process.
	pgtest.Exec(t, url, fmt.Sprintf("update pleat.lease set pid = %d", os.Getpid()))
	take(t, lease.Terms{}, url, "r2")
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

type childProcess struct {
	cmd   *exec.Cmd
	fence int64
}

func startChild(t *testing.T, url string) childProcess {
	t.Helper()
	c := childProcess{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childVariable+"="+url)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.cmd.Process.Kill(); err == nil {
			err = c.cmd.Wait()
			t.Logf("the child: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &c.fence); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestALeaseIsKeptBeyondItsExpiry(t *testing.T) {
	url := stateDatabase(t)
	l := take(t, quick, url, "r1")
	ctx, cancel := l.Guard(t.Context())
	defer cancel()
	until := show(t, url).Until
	eventually(t, "the first expiry is past", func() bool { return show(t, url).Asked.After(until) })
	if err := ctx.Err(); err != nil || show(t, url).Expired() {
		t.Errorf("the lease was not kept: %v", context.Cause(ctx))
	}
}

func TestUnlockEndsWhatIsGuardedAndTheHolderIsFenced(t *testing.T) {
	url := stateDatabase(t)
	l := take(t, quick, url, "r1")
	ctx, cancel := l.Guard(t.Context())
	defer cancel()
	err := lease.Unlock(t.Context(), spec.Plain(url), name, "wrong")
	var refused *lease.UnlockError
	if !errors.As(err, &refused) || refused.Holder == nil || !strings.Contains(err.Error(), "run r1") {
		t.Errorf("a wrong id: %v", err)
	}
	if err := lease.Unlock(t.Context(), spec.Plain(url), name, show(t, url).ID); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), lease.ErrLost) {
		t.Errorf("cause = %v", context.Cause(ctx))
	}
	late, cancelLate := l.Guard(t.Context())
	defer cancelLate()
	if !errors.Is(context.Cause(late), lease.ErrLost) {
		t.Errorf("a guard after the loss: %v", context.Cause(late))
	}
	if err := lease.Unlock(t.Context(), spec.Plain(url), name, "any"); !errors.As(err, &refused) || refused.Holder != nil {
		t.Errorf("unlocking what nobody holds: %v", err)
	}
	if next := take(t, lease.Terms{}, url, "r2"); next.Fence() <= l.Fence() {
		t.Errorf("the fence went from %d to %d", l.Fence(), next.Fence())
	}
	// The one who lost it must not take it from the next holder.
	release(t, l)
	if h := show(t, url); h == nil || h.Run != "r2" {
		t.Errorf("held by %v", h)
	}
}

func TestALeaseThatCannotBeRenewedInTimeIsLost(t *testing.T) {
	url := stateDatabase(t)
	proxy, through := pgtest.NewProxy(t, url)
	l, err := quick.Take(t.Context(), spec.Plain(through), name, self(t, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := l.Guard(t.Context())
	defer cancel()
	proxy.Refuse()
	proxy.Sever()
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on without a lease")
	}
	if !errors.Is(context.Cause(ctx), lease.ErrLost) {
		t.Errorf("cause = %v", context.Cause(ctx))
	}
	releasedInVain(t, l)
}

// releasedInVain wants that nobody waits for a lease that ends by itself.
func releasedInVain(t *testing.T, l *lease.Lease) {
	t.Helper()
	began := time.Now()
	if err := l.Release(t.Context()); err == nil {
		t.Error("it was released through a proxy that refuses")
	}
	if waited := time.Since(began); waited > 5*time.Second {
		t.Errorf("it was waited for %s", waited)
	}
}

func TestALeaseWhoseDatabaseIsGoneIsLeft(t *testing.T) {
	proxy, through := pgtest.NewProxy(t, stateDatabase(t))
	l, err := lease.Take(t.Context(), spec.Plain(through), name, self(t, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	proxy.Refuse()
	proxy.Sever()
	releasedInVain(t, l)
}

// What carries nothing and does not end either is not waited for: another connection
// frees the lease, if there can be one.
func TestALeaseIsFreedWhereItsConnectionIsSwallowed(t *testing.T) {
	url := stateDatabase(t)
	proxy, through := pgtest.NewProxy(t, url)
	l := take(t, lease.Terms{}, through, "r1")
	proxy.Swallow(false)
	began := time.Now()
	release(t, l)
	if waited := time.Since(began); waited > 5*time.Second {
		t.Errorf("it was waited for %s", waited)
	}
	if h := show(t, url); h != nil {
		t.Errorf("still held by %s", h)
	}
}

func TestALeaseWhoseDatabaseIsSwallowedIsLeft(t *testing.T) {
	proxy, through := pgtest.NewProxy(t, stateDatabase(t))
	l, err := lease.Take(t.Context(), spec.Plain(through), name, self(t, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	proxy.Swallow(true)
	releasedInVain(t, l)
}

func TestAClaimThatIsNotAnsweredIsLookedFor(t *testing.T) {
	url := stateDatabase(t)
	proxy, through := pgtest.NewProxy(t, url)
	cut := &pgtest.Cut{At: func(kind byte, body []byte) bool {
		return kind == 'B' && bytes.Contains(body, []byte("a claim"))
	}}
	proxy.Arm(cut)
	holder := self(t, "r1")
	holder.Who = "a claim"
	l, err := lease.Take(t.Context(), spec.Plain(through), name, holder)
	if err != nil {
		t.Fatal(err)
	}
	<-cut.Happened
	holdFence(t, url, l.Fence())()
	release(t, l)
}

func TestHeartbeatsGoOnAfterTheConnectionWasLost(t *testing.T) {
	url := stateDatabase(t)
	proxy, through := pgtest.NewProxy(t, url)
	// A heartbeat's time must be enough to connect, on a busy machine too.
	l := take(t, lease.Terms{Heartbeat: 500 * time.Millisecond, Expiry: 10 * time.Second}, through, "r1")
	ctx, cancel := l.Guard(t.Context())
	defer cancel()
	proxy.Sever()
	before := show(t, url).Beat
	eventually(t, "a heartbeat", func() bool { return show(t, url).Beat.After(before) })
	if ctx.Err() != nil {
		t.Errorf("the lease is lost: %v", context.Cause(ctx))
	}
}

func TestReleaseFreesTheLeaseOnce(t *testing.T) {
	url := stateDatabase(t)
	l := take(t, lease.Terms{}, url, "r1")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Release(cancelled); err != nil {
		t.Errorf("after a cancel: %v", err)
	}
	if h := show(t, url); h != nil {
		t.Errorf("still held by %s", h)
	}
	next := take(t, lease.Terms{}, url, "r2")
	release(t, l)
	if h := show(t, url); h == nil || h.Run != "r2" {
		t.Errorf("the second release took it from the next holder: %v", h)
	}
	release(t, next)
}

func TestGuardEndsWithItsContextAndByItsOwnCancel(t *testing.T) {
	l := take(t, lease.Terms{}, stateDatabase(t), "r1")
	outer, cancelOuter := context.WithCancel(t.Context())
	first, cancel := l.Guard(outer)
	second, cancelSecond := l.Guard(outer)
	cancel()
	if first.Err() == nil || second.Err() != nil {
		t.Errorf("after the first's cancel: %v, %v", first.Err(), second.Err())
	}
	cancelOuter()
	<-second.Done()
	cancelSecond()
}

// TestARowThatLacksSomethingIsToldAndUnlocked has rows that a person has put
// together. Nothing is known of such a holder: it is not dead because its process
// is not there, and without an end it does not expire.
func TestARowThatLacksSomethingIsToldAndUnlocked(t *testing.T) {
	url := stateDatabase(t)
	me := self(t, "r1")
	for _, lost := range []string{"run", "host", "pid", "process", "who", "step", "since", "beat", "until"} {
		pgtest.Exec(t, url, fmt.Sprintf(`
			insert into pleat.lease values (%s, 1, 'BYHAND', 'r1', %s, -1, %s, 'me', '', now(), now(), now() + '1 hour')
			on conflict (name) do update set id = 'BYHAND', run = 'r1', host = excluded.host, pid = -1, process = excluded.process,
				who = 'me', step = '', since = now(), beat = now(), until = now() + '1 hour'`, quoted(name), quoted(me.Host), quoted(me.Process)))
		pgtest.Exec(t, url, "update pleat.lease set "+lost+" = null")
		var held *lease.HeldError
		_, err := lease.Take(t.Context(), spec.Plain(url), name, self(t, "r2"))
		if !errors.As(err, &held) || !strings.Contains(err.Error(), "has no "+lost+",") || !strings.HasSuffix(held.Hint(), "pleat unlock BYHAND") {
			t.Errorf("without %s: %v", lost, err)
		}
		if err := lease.Unlock(t.Context(), spec.Plain(url), name, "BYHAND"); err != nil {
			t.Errorf("unlocking one without %s: %v", lost, err)
		}
	}
}

func TestShowNeedsNoTables(t *testing.T) {
	if h, err := lease.Show(t.Context(), spec.Plain(pgtest.New(t).Database(t)), name); h != nil || err != nil {
		t.Errorf("Show = %v, %v", h, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}
