package hazard

var lockDocs = []Doc{
	{
		Code: "strong_locks_on_several_tables", Severity: Risk, Title: "Strong locks on several tables in one transaction",
		Explain: "The lock on the first table is kept while the statement waits for the second. Users of the first table wait for users of the second, and two such transactions, or an application that takes the tables in another order, deadlock.",
		Safe:    "One transaction for each table: one change or one file each.",
		Manual:  "§13.3.4 Deadlocks",
		Strong:  []string{"multiple_foreign_keys"},
	},
	{
		Code: "slow_work_under_strong_lock", Severity: Risk, Title: "Scan or bulk write after a strong lock",
		Explain: "An earlier statement of the transaction holds a lock that stops writers, or everybody, and locks are kept until the end of the transaction. This statement takes time that grows with a table, and all of them wait for it.",
		Safe:    "Put it into a transaction of its own: another file, another sql block, or a backfill.",
		Manual:  "§13.3 Explicit Locking",
		Strong:  []string{"add_column_default", "validate_constraint"},
	},
	{
		Code: "several_alters", Severity: Advice, Title: "Several ALTER TABLE of one table",
		Explain: "Each is a pass of its own over the catalog, and where they scan or rewrite, over the table.",
		Safe:    "One ALTER TABLE with several actions.",
		Manual:  "ALTER TABLE, Notes",
	},
	{
		Code: "lock_table", Severity: Risk, Title: "LOCK TABLE in a mode that stops others",
		Explain: "Everybody who writes, or reads, the table waits from here to the end of the transaction.",
		Safe:    "Leave it out: statements take the lock that they need. pleat's own steps take theirs with a budget.",
		Manual:  "LOCK",
	},
	{
		Code: "lock_timeout_too_long", Severity: Risk, Title: "lock_timeout turned off or above 10 seconds",
		Explain: "While a statement waits for a strong lock, everybody who comes after it waits too: the longest stall of the application is lock_timeout, and 0 is for ever.",
		Safe:    "Leave it to pleat, which waits `lock.timeout` and tries again until `lock.patience`. By hand: SET LOCAL lock_timeout = '100ms' and try again.",
		Manual:  "§20.11.1 lock_timeout",
		Strong:  []string{"lock_timeout_limit"},
	},
	{
		Code: "no_lock_timeout", Severity: Advice, Optional: true, Title: "No lock_timeout before a strong lock",
		Explain: "Without one the statement waits behind a long transaction for as long as that takes, and everybody else waits behind the statement.",
		Safe:    "Let pleat run it: each step has its lock budget. By hand: SET LOCAL lock_timeout = '100ms' first.",
		Manual:  "§20.11.1 lock_timeout",
		Squawk:  []string{"require-lock-timeout"},
	},
	{
		Code: "no_statement_timeout", Severity: Advice, Optional: true, Title: "No statement_timeout before a strong lock",
		Explain: "A statement that takes longer than expected keeps its lock until somebody notices.",
		Safe:    "Let pleat run it: each step has its hold budget. By hand: SET LOCAL statement_timeout first.",
		Manual:  "§20.11.1 statement_timeout",
		Squawk:  []string{"require-statement-timeout"},
	},
	{
		Code: "not_idempotent", Severity: Advice, Title: "Cannot be run again after it stopped half way",
		Explain: "The file does not run as one transaction. When it stops after this statement, running it again stops at this statement, because the object is there already, or gone.",
		Safe:    "IF NOT EXISTS or IF EXISTS where the statement has it; for a concurrent index DROP INDEX CONCURRENTLY IF EXISTS first. pleat keeps the place where a file stopped.",
		Manual:  "CREATE TABLE, IF NOT EXISTS",
		Squawk:  []string{"prefer-robust-stmts"},
	},
	{
		Code: "vacuum_full", Severity: Risk, Title: "VACUUM FULL or CLUSTER",
		Explain: "The table is written anew under ACCESS EXCLUSIVE: nobody reads or writes it until the copy and all indexes are done, and the disk holds the table twice.",
		Safe:    "Plain VACUUM frees space for use within the table; pg_repack gives it back with short locks.",
		Manual:  "VACUUM; CLUSTER",
		Squawk:  []string{"prefer-repack"},
	},
	{
		Code: "refresh_blocks", Severity: Risk, Title: "REFRESH MATERIALIZED VIEW without CONCURRENTLY",
		Explain: "Nobody reads the view until its query has run.",
		Safe:    "A unique index on the view and REFRESH MATERIALIZED VIEW CONCURRENTLY.",
		Manual:  "REFRESH MATERIALIZED VIEW",
	},
}
