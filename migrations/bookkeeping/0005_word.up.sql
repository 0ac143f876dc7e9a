-- What people say to a run while it goes on: that a step may be gone by, or may
-- not, or that the run is to stop. The role is the server's word for who it was,
-- who is the person's own.
create table pleat.word (
  seq    bigint generated always as identity primary key,
  run    text not null references pleat.run,
  step   text not null default '',
  word   text not null,
  who    text not null,
  role   text not null default session_user,
  reason text not null default '',
  at     timestamptz not null default clock_timestamp()
);

create index word_run on pleat.word (run, seq);
