-- A back-fill goes along a table in lanes, each with a cursor of its own. The
-- relation is the table itself or one that holds a part of its rows; a lane ends
-- at high, or where the relation does.
alter table pleat.cursor
  add column lane integer not null default 0,
  add column relation oid,
  add column high jsonb,
  drop constraint cursor_pkey,
  add primary key (change, unit, lane);

-- How far each back-fill is, for whoever asks from elsewhere. Nothing is decided
-- by it.
create table pleat.fill (
  change   text not null,
  unit     text not null,
  run      text not null,
  total    bigint not null default 0,
  rows     bigint not null default 0,
  rate     bigint not null default 0,
  workers  integer not null default 0,
  batch    integer not null default 0,
  held     text not null default '',
  finished boolean not null default false,
  began    timestamptz not null default clock_timestamp(),
  updated  timestamptz not null default clock_timestamp(),
  primary key (change, unit)
);

-- Rows that a back-fill passed by because they cannot be filled.
create table pleat.failed_row (
  change   text not null,
  unit     text not null,
  relation oid not null,
  key      jsonb not null,
  reason   text not null,
  at       timestamptz not null default clock_timestamp(),
  primary key (change, unit, relation, key)
);

-- What people told a back-fill while it ran, and who; the last row of each
-- counts. 0 leaves to the spec what it says.
create table pleat.control (
  seq             bigint generated always as identity primary key,
  change          text not null,
  unit            text not null,
  paused          boolean not null default false,
  workers         integer not null default 0,
  batch           integer not null default 0,
  rows_per_second integer not null default 0,
  who             text not null,
  at              timestamptz not null default clock_timestamp()
);

create index control_last on pleat.control (change, unit, seq);
