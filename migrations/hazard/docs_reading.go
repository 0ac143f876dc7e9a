package hazard

var readingDocs = []Doc{
	{
		Code: "unclassified_sql", Severity: Risk, Title: "Nobody knows what this statement does",
		Explain: "It runs code that cannot be seen from here: a DO block, CALL, EXECUTE, or a function that is not PostgreSQL's own. " +
			"Which locks it takes, for how long, and what it loses is unknown.",
		Safe:   "Write out what the code does as plain statements, or read it with the table sizes in mind and allow this code by name.",
		Manual: "DO; CALL; CREATE FUNCTION",
		Strong: []string{"execute"},
	},
	{
		Code: "syntax_error", Severity: Risk, Title: "PostgreSQL's grammar refuses it",
		Explain: "The message is that of the grammar of PostgreSQL 17, and so is the place. The server refuses the statement too, so the file or the block ends there, unless it is newer than 17 and knows more. " +
			"Commands of psql, which begin with \\, are for psql only.",
		Safe:   "Write it as the server's manual has it.",
		Manual: "Part VI, SQL Commands",
		Squawk: []string{"syntax-error"},
	},
	{
		Code: "copy_from_stdin", Severity: Risk, Title: "Rows in the file, for COPY FROM stdin",
		Explain: "The lines after it are rows that psql sends. Nobody else takes them out of a file: pleat and golang-migrate send them as SQL, which ends with a syntax error, or the server waits for rows that never come.",
		Safe:    "INSERT with the rows as VALUES; or load them with psql, apart from the migrations.",
		Manual:  "COPY; psql, \\copy",
	},
	{
		Code: "not_in_this_version", Severity: Risk, Title: "The server is too old for this statement",
		Explain: "The grammar that pleat reads with is newer than the server that was named. There the statement ends with a syntax error, or means something else.",
		Safe:    "Write it as the older server knows it, or upgrade the server first.",
		Manual:  "Appendix E, Release Notes",
	},
	{
		Code: "not_in_transaction", Severity: Risk, Title: "Cannot run inside a transaction",
		Explain: "CONCURRENTLY, VACUUM, CREATE DATABASE and their like commit several times of their own, so PostgreSQL refuses them between BEGIN and COMMIT and when they are sent together with other statements. " +
			"The file ends half done.",
		Safe:   "Give the statement a file of its own without BEGIN and COMMIT. In a spec: create_index and drop_index.",
		Manual: "CREATE INDEX, Building Indexes Concurrently; VACUUM",
		Squawk: []string{"ban-concurrent-index-creation-in-transaction"}, Strong: []string{"add_index"},
	},
	{
		Code: "transaction_control", Severity: Risk, Title: "Ends the transaction that pleat began",
		Explain: "pleat records a step in the same transaction as its effect. BEGIN, COMMIT or ROLLBACK in the SQL would end that transaction early, and a crash afterwards leaves nobody knowing what was done.",
		Safe:    "Leave transactions to pleat: one block or one file is one.",
		Manual:  "COMMIT; ROLLBACK",
	},
	{
		Code: "transaction_nested", Severity: Risk, Title: "BEGIN inside a transaction, or COMMIT outside of one",
		Explain: "PostgreSQL has no nested transactions: the inner BEGIN does nothing but warn, and the inner COMMIT commits everything so far. What follows runs without the protection that the file seems to have.",
		Safe:    "One BEGIN and one COMMIT in a file, or none. For a part that may fail: SAVEPOINT.",
		Manual:  "BEGIN; SAVEPOINT",
		Squawk:  []string{"transaction-nesting"},
	},
	{
		Code: "transaction_left_open", Severity: Risk, Title: "BEGIN without COMMIT",
		Explain: "At the end of the file the transaction is still open. The connection closes and everything is rolled back, or a pool hands the open transaction with its locks to the next one.",
		Safe:    "End the file with COMMIT.",
		Manual:  "BEGIN",
		Squawk:  []string{"ban-uncommitted-transaction"},
	},
}
