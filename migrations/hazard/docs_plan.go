package hazard

// stepDocs are about steps of a plan, whoever wrote their SQL.
var stepDocs = []Doc{
	{
		Code: "data_loss", Severity: Risk, Title: "Taking a change back loses what was written to it",
		Explain: "`pleat rollback --revert` drops what the expand of the change made. What releases wrote there since, and what no `sync` keeps elsewhere, is gone; the refusal counts it.",
		Safe:    "Roll back without --revert: the schema stays expanded, and older releases live with it.",
		Allow:   "by `--acknowledge CHANGE` of `pleat rollback`",
		Manual:  "ALTER TABLE, DROP COLUMN; DROP TABLE",
	},
	{
		Code: "lossy_backfill", Severity: Risk, Title: "Back-fill whose way back does not give the old rows",
		Explain: "The back-fill has `lossy = true`: `backward` may make another old shape of a row than it had. While the change is under way, a release that still reads the old shape may find rows other than it wrote them once a newer one has written them.",
		Safe:    "A `backward` that gives each row back as it was, and no `lossy`: a sample of rows is tried before the first one is written.",
		Manual:  "UPDATE",
	},
	{
		Code: "used_by_function", Severity: Risk, Title: "A function uses what is hidden or dropped",
		Explain: "PostgreSQL keeps no record of what is in the body of a function. The step succeeds, and the function fails when it is called next: a trigger's takes the writes of its table with it.",
		Safe:    "Replace or drop the function first, in an earlier release or a `sql` block.",
		Manual:  "§5.14 Dependency Tracking",
	},
}

// circumstanceDocs are about what surrounds the tables of a plan. An apply looks
// for them before its first step, a plan says them as notes.
var circumstanceDocs = []Doc{
	{
		Code: "missing_right", Severity: Obstacle, Title: "The role may not do what a step does",
		Explain: "Its statement would end with an error half way through the run: the role does not own a table, may not write it, may not make objects in a schema, or schemas (pleat's own tables are in one, and so is a view of `serve = \"views\"`), or cannot be taken on.",
		Safe:    "The GRANT that the refusal shows; or name the owner of the tables as `role` of the database.",
		Manual:  "§5.7 Privileges; GRANT",
	},
	{
		Code: "old_server", Severity: Obstacle, Title: "Server older than PostgreSQL 13",
		Explain: "It lacks statements and functions that pleat's steps are made of, so they would end with an error half way through the run.",
		Safe:    "Upgrade the server.",
		Manual:  "§18.6 Upgrading a PostgreSQL Cluster",
	},
	{
		Code: "no_connections", Severity: Obstacle, Title: "Fewer than three connections are left",
		Explain: "pleat needs up to three at once, and each one that it takes is one that the application lacks: its instances meet the limit of max_connections as an error when they start.",
		Safe:    "End idle sessions, let a pool hold fewer, or raise max_connections.",
		Manual:  "§19.3.1 max_connections",
	},
	{
		Code: "no_space", Severity: Risk, Title: "The disk may fill up",
		Explain: "The back-fills and index builds of the plan write about half of that, and their WAL, or what an index is sorted with, as much again. On a full disk no session can write, and a server that cannot write WAL stops.",
		Safe:    "Make room, or take the back-fills and index builds one at a time. It is an estimate: allow it where you know that there is room.",
		Manual:  "§28.6 Monitoring Disk Usage",
	},
	{
		Code: "slot_behind", Severity: Risk, Title: "A replication slot may be lost",
		Explain: "The steps write more WAL than max_slot_wal_keep_size keeps for a slot. Unless its reader keeps up, the slot is lost and the reader has to begin anew with a copy of everything.",
		Safe:    "Let the reader catch up, raise max_slot_wal_keep_size, or hold the back-fill while it is behind: `throttle { lag }`.",
		Manual:  "§19.6.1 max_slot_wal_keep_size",
	},
	{
		Code: "inactive_slot", Severity: Risk, Title: "A replication slot that nobody reads keeps the WAL",
		Explain: "All that the steps write stays on the disk until somebody reads the slot or drops it, and a server whose disk is full stops.",
		Safe:    "Start its subscriber, drop the slot, or set max_slot_wal_keep_size.",
		Manual:  "§26.2.6 Replication Slots",
	},
	{
		Code: "replica_identity", Severity: Obstacle, Title: "Published table without a replica identity",
		Explain: "The server refuses each UPDATE of such a table, so the back-fill would fail at its first row, and so does the application's.",
		Safe:    "A primary key, or ALTER TABLE … REPLICA IDENTITY.",
		Manual:  "§29.1 Publication",
	},
	{
		Code: "publication_column", Severity: Obstacle, Title: "A publication names a column that goes or is hidden",
		Explain: "The server refuses to drop a column that a publication lists or chooses rows by. One that is hidden is published by another name from that step on, and subscribers stop.",
		Safe:    "ALTER PUBLICATION … SET TABLE without the column first; the refusal says for which step.",
		Manual:  "§29.4 Column Lists; ALTER PUBLICATION",
	},
	{
		Code: "published_table", Severity: Risk, Title: "Columns of a table come or go that is published whole",
		Explain: "Logical replication carries rows, never schema changes. A subscriber whose table lacks a column stops at the first row that has it, and the publisher keeps WAL for it from then on.",
		Safe:    "Add columns at the subscribers first, and take them away there last; then allow it.",
		Manual:  "§29.8 Restrictions",
	},
	{
		Code: "subscribed_table", Severity: Risk, Title: "A subscription writes a table of a sync",
		Explain: "Triggers do not fire for rows that a subscription writes. Those rows are in one shape only: releases that read the other one do not find what was written.",
		Safe:    "Make the change where the rows are written first.",
		Manual:  "§29.8 Restrictions; ALTER TABLE, ENABLE ALWAYS TRIGGER",
	},
	{
		Code: "inherited_table", Severity: Risk, Title: "Tables inherit from a table of a sync",
		Explain: "A trigger of the parent does not fire for rows that are written to a child. They are in one shape only, although a query of the parent finds them.",
		Safe:    "A sync for each child; or partitions, for which triggers are made.",
		Manual:  "§5.10 Inheritance; CREATE TRIGGER, Notes",
	},
}
