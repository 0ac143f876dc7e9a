-- What pg_stat_statements had counted of the statements that use what a change
-- takes away, when its quiet time began. The reset is the view's own, as text.
create table pleat.statements (
  change text primary key,
  reset  text not null,
  calls  jsonb not null,
  at     timestamptz not null default clock_timestamp()
);
