package postgres_test

import (
	"fmt"
	"testing"
)

// events are in partitions, with all that a partition has to have as well; last
// is a table of the same kind.
const (
	events = `create table kinds (kind text primary key); insert into kinds values ('a');
		create table events (id int not null, at timestamptz not null, kind text default 'a' references kinds, constraint named check (id > 0), primary key (id, at)) partition by range (at);
		create index events_kind on events (kind);
		create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');`
	rest = "create table events_rest partition of events default;"
	last = `create table events_2024 (id int not null, at timestamptz not null, kind text default 'a' references kinds, constraint named check (id > 0), primary key (id, at));
		create index events_2024_kind_idx on events_2024 (kind);`
	fillEvents = `insert into events select i, timestamptz '2025-01-01' + i * interval '1 hour' from generate_series(1, 2000) i;`
	fillLast   = `insert into events_2024 select i, timestamptz '2024-01-01' + i * interval '1 hour' from generate_series(1, 2000) i;`
)

// hashed has the half of its rows.
const hashed = "create table parts (id bigint not null, kind int) partition by hash (id); create table parts_0 partition of parts for values with (modulus 2, remainder 0);"

var eventful = shape{
	read: "select id, at, kind from events where id = $1",
	writes: []string{
		"update events set kind = 'a' where id = $1",
		"insert into events select (random() * 1e9)::int + 10000, timestamptz '2025-06-01' + random() * interval '1 day' where $1 > 0",
	},
}

// noted events have a column of some type, with all that goes along when that changes.
func notedEvents(kind string) string {
	return events + fmt.Sprintf(`create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
		alter table events add note %s not null default 'none' constraint noted check (note <> '');
		create index events_note on events (note, kind) where note <> 'none'; create unique index events_once on events (id, note, at);
		create view seen as select id, note from events;
		create statistics together on kind, note from events;
		comment on column events.note is 'what was'; comment on constraint noted on events is 'said'; comment on index events_note is 'by note'; grant select (note) on events to pg_monitor; alter table events alter note set statistics 200;`, kind)
}

// keyedEvents have a key, in a type, that goes on by itself, with all that goes along
// when that changes.
func keyedEvents(kind, generated string) string {
	return fmt.Sprintf(`create table events (at timestamptz not null, note text, id %s %s, constraint known check (id > 0), primary key (id, at) include (note), constraint once unique (at, id) with (fillfactor = 70)) partition by range (at);
		create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
		create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
		alter index events_2026_pkey rename to another_name;
		create index events_note on events (note, id); create view seen as select id, note from events;
		comment on constraint events_pkey on events is 'the key'; comment on constraint once on events is 'once';
		create function told() returns trigger language plpgsql as 'begin return null; end';
		create trigger told after insert or update of id on events for each row when (new.id > 5) execute function told();
		create trigger untold after update of id on events for each row execute function told(); alter table events disable trigger untold;
		comment on trigger told on events is 'said';`, kind, generated)
}

const fillKeyed = `insert into events (at) select timestamptz '2025-01-01' + i * interval '1 hour' from generate_series(1, 2000) i;`

// keyingEvents are inserted by both ends of the key, and moved.
var keyingEvents = shape{
	unprepared: true,
	read:       "select id, note from events where id = $1",
	writes: []string{
		"update events set note = 'much' where id = $1",
		"update events set at = case when at < '2026-01-01' then at + interval '1 year' else at - interval '1 year' end where id = $1",
		"insert into events (at) select timestamptz '2025-06-01' + random() * interval '1 day' where $1 > 0",
		"insert into events (id, at, note) select id, at, 'again' from events where id = $1 on conflict (id, at) do update set note = excluded.note",
		"insert into events (id, at, note) select id, at, 'again' from events where id = $1 on conflict on constraint once do nothing",
	},
}

const numberedEvents = `create table events (at timestamptz not null, id int, primary key (id, at)) partition by range (at);
	create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
	create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');`

func numberingEvents(name string) shape {
	return shape{
		read: fmt.Sprintf("select at from events where %s = $1", name),
		writes: []string{
			fmt.Sprintf("insert into events (%s, at) select (random() * 1e9)::int + 10000, timestamptz '2025-06-01' + random() * interval '1 day' where $1 > 0", name),
			fmt.Sprintf("update events set at = at + interval '1 second' where %s = $1", name),
		},
	}
}

// kindEvents refer to a table, with a type of either end.
func kindEvents(kind, referring string) string {
	return fmt.Sprintf(`create table kinds (label text, kind %[1]s primary key);
		create table events (at timestamptz not null, id int not null, kind %[2]s constraint of_kind references kinds on delete cascade) partition by range (at);
		create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
		create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
		create index events_kind on events (kind); create index events_id on events (id); comment on constraint of_kind on events is 'what it is';`, kind, referring)
}

const fillKinds = `insert into kinds (kind) select generate_series(1, 2000); insert into events (at, id, kind) select timestamptz '2025-01-01' + i * interval '1 hour', i, i from generate_series(1, 2000) i;`

var kindlyEvents = shape{
	unprepared: true,
	read:       "select e.at, k.label from events e join kinds k using (kind) where e.id = $1",
	writes: []string{
		"update events set kind = $1 % 7 + 1 where id = $1",
		"insert into events (at, id, kind) values (timestamptz '2025-06-01' + random() * interval '1 day', 10000, $1)",
		"insert into kinds (kind) values ((random() * 1e9)::int + 10000) on conflict do nothing",
		"update events set at = case when at < '2026-01-01' then at + interval '1 year' else at - interval '1 year' end where id = $1",
	},
}

// referredEvents have a key that another table refers to, with a type of either end.
func referredEvents(kind, referring string) string {
	return fmt.Sprintf(`create table events (at date not null, note text, id %[1]s, primary key (id, at)) partition by range (at);
		create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
		create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
		create table notes (at date, id %[2]s, constraint noted foreign key (id, at) references events on update cascade on delete cascade);
		create index notes_id on notes (id); comment on constraint noted on notes is 'what it is about';`, kind, referring)
}

const fillReferred = `insert into events (at, id) select date '2025-01-01' + i % 700, i from generate_series(1, 2000) i; insert into notes (id, at) select id, at from events;`

var referredTo = shape{
	unprepared: true,
	read:       "select e.note from events e join notes n using (id, at) where e.id = $1",
	writes: []string{
		"update events set note = 'much' where id = $1",
		"insert into notes (id, at) select id, at from events where id = $1 limit 1",
		"insert into events (id, at) values ((random() * 1e9)::int + 10000, date '2025-06-01' + $1 % 7) on conflict (id, at) do nothing",
		"update events set at = case when at < '2026-01-01' then at + 365 else at - 365 end where id = $1",
	},
}

// noting events are written, and moved from one partition to the other.
var notingEvents = shape{
	unprepared: true,
	read:       "select s.note, e.note from events e join seen s using (id) where e.id = $1",
	writes: []string{
		"update events set note = 'much' where id = $1",
		"update events set at = case when at < '2026-01-01' then at + interval '1 year' else at - interval '1 year' end, note = 'moved' where id = $1",
		"insert into events (id, at, note) select (random() * 1e9)::int + 10000, timestamptz '2025-06-01' + random() * interval '1 day', 'new' where $1 > 0",
		"insert into events_2025 (id, at) select (random() * 1e9)::int + 10000, timestamptz '2025-06-01' + random() * interval '1 day' where $1 > 0",
	},
}

func partitionOperations(t testing.TB) []operation {
	attach := `expand {
		attach_partition "events" "events_2024" {
			from = ["'2024-01-01'"]
			to   = ["'2025-01-01'"]
		}
	}`
	widerEvents := `change_type "events" "id" {
		type = "bigint"
	}`
	wider := func(table string) string {
		return fmt.Sprintf("change_type %q \"kind\" {\n\ttype = \"bigint\"\n}\n", table)
	}
	// A partition has its key before its table has: from PostgreSQL 18 on its NOT NULL
	// is then one of its own as well.
	const ofTheirOwn = "alter table events_2025 alter id set not null, alter at set not null; alter table events_2026 alter id set not null, alter at set not null;"
	attached := "alter table events attach partition events_2024 for values from ('2024-01-01') to ('2025-01-01');"
	create := `expand {
		create_partition "events" "events_2026" {
			from = ["'2026-01-01'"]
			to   = ["'2027-01-01'"]
		}
	}`
	created := "create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');"
	return []operation{
		{
			name: "change the type of a column of a partitioned table", setup: notedEvents("varchar(20)"), fill: fillEvents,
			change: written(t, `change_type "events" "note" {
				type    = "text"
				default = "'none'"
			}`),
			end: notedEvents("text"), before: notingEvents, after: notingEvents,
		},
		{
			name: "change the type of the key of a partitioned table", setup: keyedEvents("int", "generated by default as identity"), fill: fillKeyed,
			change: written(t, widerEvents), end: keyedEvents("bigint", "generated by default as identity") + ofTheirOwn,
			before: keyingEvents, after: keyingEvents,
		},
		{
			name: "change the type of a serial key of a partitioned table", setup: keyedEvents("serial", ""), fill: fillKeyed,
			change: written(t, widerEvents), end: keyedEvents("bigserial", "") + ofTheirOwn,
			before: keyingEvents, after: keyingEvents,
		},
		{
			name: "rename the key of a partitioned table by a copy", setup: numberedEvents, fill: "insert into events select timestamptz '2025-01-01' + i * interval '1 hour', i from generate_series(1, 2000) i",
			change: written(t, `rename_column "events" "id" {
				to = "number"
			}`), end: numberedEvents + ofTheirOwn + "alter table events rename column id to number",
			before: numberingEvents("id"), after: numberingEvents("number"),
		},
		{
			name: "change the type of a column of a partitioned table that refers to another", setup: kindEvents("int", "int"), fill: fillKinds,
			change: written(t, wider("events")), end: kindEvents("int", "bigint"),
			before: kindlyEvents, after: kindlyEvents,
		},
		{
			name: "change the type of a key that a partitioned table refers to", setup: kindEvents("int", "int"), fill: fillKinds,
			change: written(t, wider("kinds")), end: kindEvents("bigint", "int"),
			before: kindlyEvents, after: kindlyEvents,
		},
		{
			name: "change both ends of a key of a partitioned table", setup: kindEvents("int", "int"), fill: fillKinds,
			change: written(t, wider("events")+wider("kinds")), end: kindEvents("bigint", "bigint"),
			before: kindlyEvents, after: kindlyEvents,
		},
		{
			name: "change the type of the key of a partitioned table that another refers to", setup: referredEvents("int", "int"), fill: fillReferred,
			change: written(t, widerEvents), end: referredEvents("bigint", "int") + ofTheirOwn,
			before: referredTo, after: referredTo,
		},
		{
			name: "change both ends of a key to a partitioned table", setup: referredEvents("int", "int"), fill: fillReferred,
			change: written(t, "change_type \"notes\" \"id\" {\ntype = \"bigint\"\n}\n"+widerEvents), end: referredEvents("bigint", "bigint") + ofTheirOwn,
			before: referredTo, after: referredTo,
		},
		{
			name: "attach a partition", setup: events + last, fill: fillEvents + fillLast,
			change: written(t, attach), end: events + last + attached,
			before: eventful, after: eventful,
		},
		{
			name: "attach a partition beside a default one", setup: events + rest + last, fill: fillEvents + fillLast,
			change: written(t, attach), end: events + rest + last + attached,
			before: eventful, after: eventful,
		},
		{
			name: "attach a partition by list", setup: "create table parts (id bigint, kind varchar(9)) partition by list (kind); create table parts_a (id bigint, kind varchar(9));",
			fill: "insert into parts_a select i, 'a' from generate_series(1, 2000) i",
			change: written(t, `expand {
				attach_partition "parts" "parts_a" {
					in = ["'a'", "'b'"]
				}
			}`),
			end:    "create table parts (id bigint, kind varchar(9)) partition by list (kind); create table parts_a partition of parts for values in ('a', 'b');",
			before: shape{read: "select id from parts where id = $1"},
			after:  shape{writes: []string{"insert into parts values ($1, 'b')"}},
		},
		{
			name: "attach a partition by two columns", setup: "create table parts (id bigint, k int, l date) partition by range (k, l); create table parts_rest partition of parts default; create table parts_1 (id bigint, k int, l date);",
			fill: "insert into parts_1 select i, 1, '2025-03-01' from generate_series(1, 2000) i",
			change: written(t, `expand {
				attach_partition "parts" "parts_1" {
					from = ["1", "'2025-01-01'"]
					to   = ["2", "'2025-02-01'"]
				}
			}`),
			end: `create table parts (id bigint, k int, l date) partition by range (k, l); create table parts_rest partition of parts default;
				create table parts_1 partition of parts for values from (1, '2025-01-01') to (2, '2025-02-01');`,
			before: shape{read: "select id from parts where id = $1", writes: []string{"insert into parts values ($1, 3, '2025-01-01')"}},
			after:  shape{writes: []string{"insert into parts values ($1, 1, '2025-03-01')"}},
		},
		{
			name: "attach a partition by hash", setup: hashed + "create table parts_1 (id bigint not null, kind int);",
			fill:   "insert into parts_1 select i, 1 from generate_series(1, 4000) i where satisfies_hash_partition('parts'::regclass, 2, 1, i::bigint)",
			change: written(t, "expand {\nattach_partition \"parts\" \"parts_1\" {\nmodulus = 2\nremainder = 1\n}\n}"),
			end:    hashed + "create table parts_1 (id bigint not null, kind int); alter table parts attach partition parts_1 for values with (modulus 2, remainder 1)",
			before: shape{read: "select kind from parts where id = $1", writes: []string{"update parts set kind = kind + 1 where id = $1"}},
			after:  shape{writes: []string{"insert into parts values ($1, 3)"}},
		},
		{
			name: "detach a partition by hash", setup: hashed + "create table parts_1 partition of parts for values with (modulus 2, remainder 1);",
			fill:   "insert into parts select i, 1 from generate_series(1, 4000) i",
			change: written(t, "contract {\ndetach_partition \"parts\" \"parts_1\" {\nmodulus = 2\nremainder = 1\n}\n}"),
			end:    hashed + "create table parts_1 partition of parts for values with (modulus 2, remainder 1); alter table parts detach partition parts_1",
			before: shape{read: "select kind from parts where id = $1", writes: []string{"update parts set kind = kind + 1 where id = $1"}},
		},
		{
			name: "detach a partition beside a default one", setup: events + rest + created, fill: fillEvents,
			change: written(t, `contract {
				detach_partition "events" "events_2026" {
					from = ["'2026-01-01'"]
					to   = ["'2027-01-01'"]
				}
			}`),
			end: events + rest + created + "alter table events detach partition events_2026", before: eventful,
		},
		{
			name: "detach a partition", setup: events + created, fill: fillEvents,
			change: written(t, `contract {
				detach_partition "events" "events_2026" {
					from = ["'2026-01-01'"]
					to   = ["'2027-01-01'"]
				}
			}`),
			end: events + created + "alter table events detach partition events_2026", before: eventful,
		},
		{
			name: "create a partition", setup: events, fill: fillEvents,
			change: written(t, create), end: events + created,
			before: eventful, after: shape{writes: []string{"insert into events select (random() * 1e9)::int, timestamptz '2026-06-01' + random() * interval '1 day' where $1 > 0"}},
		},
		{
			name: "create a partition beside a default one", setup: events + rest, fill: fillEvents,
			change: written(t, create), end: events + rest + created,
			before: eventful,
		},
	}
}
