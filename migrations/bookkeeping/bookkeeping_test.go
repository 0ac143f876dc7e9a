package bookkeeping_test

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/bookkeeping"
	"pleat/migrations/conn"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// childVariable makes the test binary a program that migrates the database
// that it names.
const childVariable = "BOOKKEEPING_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childVariable); url != "" {
		os.Stdout.WriteString("ready\n")
		if err := bookkeeping.Migrate(context.Background(), spec.Plain(url)); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestMigrateTwiceIsMigrateOnce(t *testing.T) {
	url := pgtest.New(t).Database(t)
	for range 2 {
		if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
			t.Fatal(err)
		}
	}
	complete(t, pgtest.Connect(t, url))
}

// The server writes to no table that is published unless it can tell its rows apart.
func TestTablesCanBePublished(t *testing.T) {
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, "create publication everything for all tables")
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
		t.Fatal(err)
	}
	blind := pgtest.Value[int](t, pgtest.Connect(t, url), `
		select count(*) from pg_class c where relnamespace = 'pleat'::regnamespace and relkind = 'r' and relreplident <> 'f'
		  and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)`)
	if blind > 0 {
		t.Errorf("of %d tables the rows cannot be told apart", blind)
	}
}

// An event trigger's function that names a table without its schema works in the sessions
// of whoever wrote it. What pleat's own tables use is the server's all the same.
func TestEventTriggersFindWhatTheyName(t *testing.T) {
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, `
		create schema audit; create table audit.ddl (tag text);
		create function audit.clock_timestamp() returns timestamptz language sql as 'select null::timestamptz';
		create function audit.ended() returns event_trigger language plpgsql as $$ begin insert into ddl select command_tag from pg_event_trigger_ddl_commands(); end $$;
		create event trigger ended on ddl_command_end execute function audit.ended();
		do $$ begin execute format('alter database %I set search_path = audit, pg_catalog', current_database()); end $$`)
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
		t.Fatal(err)
	}
	c := pgtest.Connect(t, url)
	complete(t, c)
	if n := pgtest.Value[int](t, c, "select count(*) from audit.ddl where tag = 'CREATE TABLE'"); n == 0 {
		t.Error("the trigger saw no table that was made")
	}
	if n := pgtest.Value[int](t, c, "select count(*) from pg_depend where refobjid = 'audit.clock_timestamp()'::regprocedure"); n > 0 {
		t.Errorf("%d defaults call another schema's function", n)
	}
}

func TestTenMigrateAtOnce(t *testing.T) {
	url := pgtest.New(t).Database(t)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	complete(t, pgtest.Connect(t, url))
}

// The kills are spread over the time that an undisturbed run takes.
func TestMigrateRecoversFromAKillAtAnyMoment(t *testing.T) {
	kills := 12
	if pgtest.Long() {
		kills = 48
	}
	url := pgtest.New(t).Database(t)
	c := pgtest.Connect(t, url)
	undisturbed := child(t, url)
	start := time.Now()
	if err := undisturbed.Wait(); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start)
	interrupted := 0
	for i := range kills {
		pgtest.Exec(t, url, "drop schema if exists pleat cascade")
		if killAfter(t, child(t, url), whole*time.Duration(i)/time.Duration(kills)) {
			interrupted++
		}
		if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
			t.Fatalf("killed after %d/%d of the time: %v", i, kills, err)
		}
		complete(t, c)
	}
	if interrupted < kills/4 {
		t.Errorf("only %d of %d children were killed before they were done", interrupted, kills)
	}
}

// The connection is cut at each message of a migration in turn, before the
// server gets it and after it acted on it.
func TestMigrateRecoversFromACutAtAnyMessage(t *testing.T) {
	url := pgtest.New(t).Database(t)
	c := pgtest.Connect(t, url)
	proxy, through := pgtest.NewProxy(t, url)
	step := int64(5) // a sample
	if pgtest.Long() {
		step = 1
	}
	for _, before := range []bool{true, false} {
		for due := 1 + rand.Int64N(step); cutAt(t, proxy, through, due, before); due += step {
			if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
				t.Fatalf("cut at message %d, before the server got it: %v: %v", due, before, err)
			}
			complete(t, c)
			pgtest.Exec(t, url, "drop schema pleat cascade")
		}
		pgtest.Exec(t, url, "drop schema pleat cascade")
	}
}

// cutAt migrates through the proxy and tells whether it came to that message.
// How the migration fared is for the next one to find out.
func cutAt(t *testing.T, proxy *pgtest.Proxy, through string, due int64, before bool) bool {
	t.Helper()
	var messages atomic.Int64
	cut := &pgtest.Cut{At: func(byte, []byte) bool { return messages.Add(1) == due }, Before: before}
	proxy.Arm(cut)
	err := bookkeeping.Migrate(t.Context(), spec.Plain(through))
	select {
	case <-cut.Happened:
		return true
	default:
	}
	if err != nil {
		t.Fatalf("message %d: %v", due, err)
	}
	return false
}

// child is a process that is about to migrate.
func child(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	// The race detector's second before a program ends is no part of the time
	// over which the kills are spread.
	cmd.Env = append(os.Environ(), childVariable+"="+url, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func killAfter(t *testing.T, cmd *exec.Cmd, d time.Duration) (interrupted bool) {
	t.Helper()
	<-time.After(d)
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	return cmd.Wait() != nil
}

func complete(t *testing.T, c *pgx.Conn) {
	t.Helper()
	known, err := bookkeeping.Known()
	if err != nil {
		t.Fatal(err)
	}
	installed, err := bookkeeping.Installed(t.Context(), c)
	if err != nil || installed != known {
		t.Errorf("installed = %d, %v, want %d", installed, err, known)
	}
	for _, table := range []string{"lease", "run", "entry", "event", "release", "mark", "change", "cursor", "halfway", "applied"} {
		if !pgtest.Value[bool](t, c, "select to_regclass('pleat.' || $1::text) is not null", table) {
			t.Errorf("there is no pleat.%s", table)
		}
	}
}

func TestInstalledIsZeroAndWritesNothingInAFreshDatabase(t *testing.T) {
	url := pgtest.New(t).Database(t)
	c, err := conn.Open(t.Context(), spec.Plain(url), conn.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context(), c); err != nil {
			t.Error(err)
		}
	}()
	if v, err := bookkeeping.Installed(t.Context(), c); v != 0 || err != nil {
		t.Errorf("Installed = %d, %v", v, err)
	}
}

func TestANewerVersionIsRefused(t *testing.T) {
	url := pgtest.New(t).Database(t)
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, url, "update pleat.schema_version set version = 99")
	var newer *bookkeeping.NewerError
	if _, err := bookkeeping.Installed(t.Context(), pgtest.Connect(t, url)); !errors.As(err, &newer) || newer.Installed != 99 {
		t.Errorf("Installed: %v", err)
	}
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(url)); !errors.As(err, &newer) {
		t.Errorf("Migrate: %v", err)
	}
}

func TestAMissingPrivilegeIsNamedWithTheGrantThatGivesIt(t *testing.T) {
	server := pgtest.New(t)
	database := server.Database(t)
	server.Exec(t, `create role "odd Name" login password 'p'`)
	t.Cleanup(func() { server.Exec(t, `drop role "odd Name"`) })
	// The database goes first, since it may hold what the role owns.
	t.Cleanup(func() { pgtest.Exec(t, database, `drop owned by "odd Name" cascade`) })
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("odd Name", "p")
	err = bookkeeping.Migrate(t.Context(), spec.Plain(u.String()))
	var denied *bookkeeping.PrivilegeError
	if !errors.As(err, &denied) {
		t.Fatalf("err = %v", err)
	}
	_, statement, ok := strings.Cut(denied.Hint(), ": ")
	if !ok {
		t.Fatalf("no statement in %q", denied.Hint())
	}
	pgtest.Exec(t, database, statement)
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(u.String())); err != nil {
		t.Errorf("after %s: %v", statement, err)
	}
}

func TestASchemaThatWasMadeForTheRoleIsEnough(t *testing.T) {
	server := pgtest.New(t)
	database := server.Database(t)
	server.Exec(t, "create role tenant login password 'p'")
	t.Cleanup(func() { server.Exec(t, "drop role tenant") })
	t.Cleanup(func() { pgtest.Exec(t, database, "drop owned by tenant cascade") })
	pgtest.Exec(t, database, "create schema pleat authorization tenant")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("tenant", "p")
	if err := bookkeeping.Migrate(t.Context(), spec.Plain(u.String())); err != nil {
		t.Error(err)
	}
}
