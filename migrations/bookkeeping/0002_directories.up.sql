-- Both live in the database that a golang-migrate directory changes, and go by
-- the table in which golang-migrate records its version.

-- A file that is under way in more than one transaction: how many of its
-- statements ran, and their digest. The number in doing is that of a statement
-- that was sent outside of a transaction and of which no end is recorded.
create table pleat.halfway (
  version_table text primary key,
  from_version  bigint not null,
  to_version    bigint not null,
  statements    integer not null,
  through       text not null,
  doing         integer,
  problem       text not null default '',
  updated       timestamptz not null default clock_timestamp()
);

-- The versions that are there. Of one that pleat did not run itself, run is
-- empty: it was there, as the file was when pleat first saw it.
create table pleat.applied (
  version_table text not null,
  version       bigint not null,
  sha256        text not null,
  run           text not null,
  applied_at    timestamptz not null default clock_timestamp(),
  primary key (version_table, version)
);
