package main

import (
	"cmp"
	"fmt"
	"strings"
)

// matrixWorld is a database, what is live, and a wish.
type matrixWorld struct {
	name  string
	setup string // SQL on the fresh database
	wish  string // the spec, less what all have
	// prelude is where an apply dies before the command under test begins.
	prelude place
	held    bool   // a transaction of somebody's keeps an index build waiting in the prelude
	verb    string // the command under test; "" is apply
	exit    int    // of that command when nobody disturbs it
	slow    bool   // it waits for longer than the sample may take
	serves  bool   // a service runs, with requests and writers
	target  string // the release wanted; "" is the lane's other one
	rolls   string // the strategy; "" is one by one
	first   string // the strategy of the lane's first release; "" is one by one
	more    string // of the service
	only    string // the one action that makes sense; "" = all
	point   string // the one point that no other world has; "" = all
	// forward is the world that ends where an apply of this one does, and
	// expanded the one that ends with the old release on the expanded schema;
	// "" is this one, and none.
	forward, expanded string
	// repeats: an effect that was cut short may be made again, after its rest
	// was taken away.
	repeats bool
}

func (w *matrixWorld) actions() []string {
	if w.only != "" {
		return []string{w.only}
	}
	return []string{"apply", "rollback"}
}

func (w *matrixWorld) command() string {
	if w.verb == "" {
		return "apply"
	}
	return w.verb
}

const matrixRows = 3000

var matrixWorlds = []*matrixWorld{
	{name: "W1", setup: usersTable, wish: addColumn},
	{name: "W2", setup: usersTable, wish: splitName, serves: true, expanded: "W2-fails"},
	{name: "W2-fails", setup: usersTable, wish: splitName, serves: true, target: "r9", exit: exitRolledBack, expanded: "W2-fails"},
	{name: "W2-back", setup: usersTable, wish: splitName, serves: true, prelude: place{"step.applied", 13}, verb: "rollback", forward: "W2", expanded: "W2-fails"},
	{name: "W2-canary", setup: usersTable, wish: splitName, serves: true, rolls: canaried, slow: true, expanded: "W2-fails"},
	{name: "W2-cycle", setup: usersTable, wish: splitName, serves: true, rolls: cycled, first: cycled, expanded: "W2-cycle-fails"},
	{name: "W2-cycle-fails", setup: usersTable, wish: splitName, serves: true, rolls: cycled, first: cycled, target: "r9", exit: exitRolledBack, expanded: "W2-cycle-fails", slow: true},
	{name: "W2-tasks", setup: usersTable, wish: splitName, serves: true, more: someTasks, expanded: "W2-fails"},
	{name: "W2-held", setup: usersTable, wish: splitName, serves: true, rolls: heldOffline, expanded: "W2-fails"},
	{name: "W3", setup: usersTable, wish: addIndex, repeats: true},
	{name: "W3-invalid", setup: usersTable + invalidIndex, wish: addIndex, repeats: true, slow: true},
	{name: "W3-cut", setup: usersTable, wish: addIndex, prelude: place{"index.building", 3}, held: true, repeats: true},
	{name: "W3-cut-back", setup: usersTable, wish: addIndex, prelude: place{"index.building", 3}, held: true, verb: "rollback", forward: "W3", repeats: true},
	{name: "W5", setup: usersTable, serves: true, rolls: replicated, first: replicated},
	{name: "W4-waits", setup: usersTable, wish: soaking, only: "apply", point: "lease.before_heartbeat", slow: true},
}

// usersTable also audits: DDL by an event trigger, and which rows a back-fill
// wrote.
var usersTable = fmt.Sprintf(`
create table users (id bigint generated always as identity primary key, name text not null);
insert into users (name) select 'first' || n || ' last' || n from generate_series(1, %d) n;
create schema audit;
create table audit.ddl (tag text not null, object text not null);
create function audit.ended() returns event_trigger language plpgsql as $$
begin
  insert into audit.ddl select command_tag, coalesce(object_identity, '') from pg_event_trigger_ddl_commands();
end $$;
create function audit.dropped() returns event_trigger language plpgsql as $$
begin
  insert into audit.ddl select 'DROP', object_identity from pg_event_trigger_dropped_objects() where original;
end $$;
create table audit.filled (id bigint not null);
create function audit.fill() returns trigger language plpgsql as $$
begin
  if pg_catalog.current_setting('pleat.sync', true) = 'off' then
    insert into audit.filled select id from written;
  end if;
  return null;
end $$;
create trigger audit after update on users referencing new table as written
  for each statement execute function audit.fill();
analyze users;
`, matrixRows)

// auditing begins the count of DDL.
const auditing = `
create event trigger audit_ended on ddl_command_end execute function audit.ended();
create event trigger audit_dropped on sql_drop execute function audit.dropped();
`

const invalidIndex = `
create index users_name on users (name);
update pg_index set indisvalid = false where indexrelid = 'users_name'::regclass;
`

const addColumn = `
change "note" {
  expand {
    add_column "users" "note" {
      type = "text"
    }
  }
}
`

const addIndex = `
change "by_name" {
  expand {
    create_index "users_name" {
      table   = "users"
      columns = ["name"]
    }
  }
}
`

// soaking waits for longer than a heartbeat's interval.
const soaking = `
change "note" {
  expand {
    add_column "users" "note" {
      type = "text"
    }
  }
  contract {
    drop_column "users" "name" {
      hide = "0s"
    }
    soak = "6s"
  }
}
`

const splitName = `
change "split_name" {
  expand {
    add_column "users" "first" {
      type = "text"
    }
    add_column "users" "last" {
      type = "text"
    }
    sync "users" {
      forward = {
        first = "split_part(name, ' ', 1)"
        last  = "substring(name, ' (.*)')"
      }
      backward = {
        name = "concat_ws(' ', first, last)"
      }
    }
  }
  backfill "users" {
    batch = 400
  }
  verify "names_agree" {
    sql = "select id from users where coalesce(first, last) is null or name is distinct from concat_ws(' ', first, last)"
  }
  contract {
    drop_column "users" "name" {
      hide = "0s"
    }
    soak = "0s"
  }
}
`

const oneByOne = `rolling {
    batch = 1
  }`

const canaried = `canary {
    step {
      weight = 20
      hold   = "50ms"
      verify = [change.split_name.names_agree]
    }
    step {
      weight    = 50
      instances = 2
    }
  }`

const cycled = "cycle {}"

// heldOffline keeps requests waiting for as long as may be: on a busy machine a
// command that comes after a crash takes its time.
const heldOffline = `offline {}
  hold_traffic = "1m"`

// someTasks write down in DIR that they ran. One takes so long that pleat dies
// while it runs.
const someTasks = `
  task "seed" {
    run     = "before_traffic"
    command = ["sh", "-c", "sleep 0.1; echo seed >>DIR/ran"]
    undo {
      command = ["sh", "-c", "echo unseed >>DIR/ran"]
    }
  }
  task "tell" {
    run     = "after"
    per     = "instance"
    command = ["sh", "-c", "echo tell $PLEAT_INSTANCE >>DIR/ran"]
  }
`

// matrixSpec is the whole spec of a world on a lane.
func (w *matrixWorld) matrixSpec(l *lane) string {
	if !w.serves {
		return l.main() + w.wish
	}
	return l.main() + l.service(l.live, w.wanted(l), cmp.Or(w.rolls, oneByOne), w.more) + w.wish
}

// main is the database, with a hold that a busy machine does not use up.
func (l *lane) main() string {
	return fmt.Sprintf("database \"main\" {\n  url = %q\n  lock {\n    hold = \"2s\"\n  }\n}\n", l.url)
}

func (w *matrixWorld) wanted(l *lane) string {
	if w.target != "" {
		return w.target
	}
	return l.other()
}

// service runs from, and wants to; only to knows the change.
func (l *lane) service(from, to, rolls, more string) string {
	text := serviceSpec
	if rolls == replicated {
		text = clusterSpec
	}
	rolls, more = strings.ReplaceAll(rolls, "DIR", l.dir), strings.ReplaceAll(more, "DIR", l.dir)
	return strings.NewReplacer("SHARED", l.cluster(), "ROLLS", rolls, "MORE", more, "SOCKET", l.socket(), "LISTEN", l.listen, "FROM", from, "TO", to, "SCHEMA", "[change.split_name]",
		"FAILING", failing[to]).Replace(text)
}

// failing are releases that do not come up, by the arguments that make them.
var failing = map[string]string{
	"r8": `, "-unhealthy"`,
	"r9": `, "-crash", "1ms", "-mute"`,
}

const serviceSpec = `
orchestrator "host" "local" {
  agents = ["unix://SOCKET"]
}

router "proxy" "edge" {
  listen = "LISTEN"
}

strategy "the_one" {
  ROLLS
}

service "demo" {
  router   = router.proxy.edge
  strategy = strategy.the_one
  release  = "TO"

  process "web" {
    count = 2
    env   = { GORACE = "atexit_sleep_ms=0" }
    check "http" {
      path     = "/healthz"
      interval = "20ms"
    }
    drain {
      timeout = "2s"
    }
  }
  MORE
  release "FROM" {
    artifact {
      path   = "bin/FROM"
      sha256 = filesha256("bin/FROM")
    }
  }
  release "TO" {
    artifact {
      path   = "bin/TO"
      sha256 = filesha256("bin/TO")
    }
    schema = SCHEMA
    process "web" {
      command = ["$${ARTIFACT}"FAILING]
    }
  }
}
`
