-- The schema pleat itself is made by whoever runs this file, since a role that
-- may not create schemas can still fill one that was made for it.

-- One row for each environment: who may apply now. The fence only rises. The
-- unique index makes FOR KEY SHARE on (name, fence) block a takeover and let a
-- heartbeat through, which changes no column of it.
create table pleat.lease (
  name    text primary key,
  fence   bigint not null,
  id      text,
  run     text,
  host    text,
  pid     integer,
  process text,
  who     text,
  step    text,
  since   timestamptz,
  beat    timestamptz,
  until   timestamptz,
  unique (name, fence)
);

-- The type json, not jsonb: what was written is read back byte for byte.
create table pleat.run (
  id          text primary key,
  environment text not null,
  kind        text not null,
  status      text not null,
  fingerprint text not null,
  wish        text not null,
  plan        json not null,
  who         text not null,
  host        text not null,
  started     timestamptz not null default clock_timestamp(),
  finished    timestamptz
);

create unique index run_open on pleat.run (environment) where finished is null;
create index run_started on pleat.run (environment, started desc);

-- The nonce is the writer's own: by it the writer finds out whether a row whose
-- COMMIT was not answered is there.
create table pleat.entry (
  run    text not null references pleat.run,
  seq    bigint generated always as identity,
  step   text not null,
  status text not null,
  fence  bigint not null,
  detail text not null default '',
  nonce  text not null unique,
  at     timestamptz not null default clock_timestamp(),
  primary key (run, seq)
);

create table pleat.event (
  environment text not null,
  seq         bigint not null,
  run         text not null,
  at          timestamptz not null default clock_timestamp(),
  body        json not null,
  primary key (environment, seq)
);

create table pleat.release (
  environment text not null,
  service     text not null,
  version     text not null,
  definition  json not null,
  held        text not null default '',
  recorded    timestamptz not null default clock_timestamp(),
  primary key (environment, service, version)
);

-- The three below live in the database that a step changes, and are written in
-- the transaction that makes the change.
create table pleat.mark (
  run  text not null,
  step text not null,
  at   timestamptz not null default clock_timestamp(),
  primary key (run, step)
);

create table pleat.change (
  name        text primary key,
  phase       text not null,
  digest      text not null,
  units       jsonb not null default '{}',
  quiet_since timestamptz,
  hidden_at   timestamptz,
  old_writes  bigint not null default 0,
  updated     timestamptz not null default clock_timestamp()
);

create table pleat.cursor (
  change   text not null,
  unit     text not null,
  digest   text not null,
  position jsonb,
  rows     bigint not null default 0,
  finished boolean not null default false,
  updated  timestamptz not null default clock_timestamp(),
  primary key (change, unit)
);
