package hazard

var indexDocs = []Doc{
	{
		Code: "index_blocks_writes", Severity: Risk, Title: "CREATE INDEX without CONCURRENTLY",
		Explain: "The build reads the whole table under SHARE: everybody reads, nobody writes, until it is done. That is seconds for a million rows and many minutes for a hundred million.",
		Safe:    "create_index, which builds concurrently, looks whether the index is valid afterwards and builds it again where it is not. By hand: CREATE INDEX CONCURRENTLY, alone in its file.",
		Manual:  "CREATE INDEX, Building Indexes Concurrently",
		Squawk:  []string{"require-concurrent-index-creation"}, Strong: []string{"add_index", "add_reference"},
	},
	{
		Code: "index_drop_blocks", Severity: Risk, Title: "DROP INDEX without CONCURRENTLY",
		Explain: "It needs ACCESS EXCLUSIVE on the table of the index. It is quick once it has the lock, but while it waits for one long reader everybody else queues up behind it.",
		Safe:    "drop_index, which drops concurrently. By hand: DROP INDEX CONCURRENTLY, alone in its file.",
		Manual:  "DROP INDEX",
		Squawk:  []string{"require-concurrent-index-deletion", "ban-drop-index"}, Strong: []string{"remove_index"},
	},
	{
		Code: "reindex_blocks", Severity: Risk, Title: "REINDEX without CONCURRENTLY",
		Explain: "Writers of the table wait until all of its indexes are built, and so do readers that would use an index which is in hand.",
		Safe:    "REINDEX … CONCURRENTLY, alone in its file.",
		Manual:  "REINDEX, Rebuilding Indexes Concurrently",
		Squawk:  []string{"require-concurrent-reindex"},
	},
	{
		Code: "index_if_not_exists", Severity: Risk, Title: "IF NOT EXISTS is content with an invalid index",
		Explain: "A concurrent build that was interrupted leaves an invalid index of that name: it slows writes down and no query uses it. IF NOT EXISTS finds the name and reports success, so the index stays broken; a unique one does not keep rows unique.",
		Safe:    "create_index, which looks at indisvalid. By hand: DROP INDEX CONCURRENTLY IF EXISTS first, then build without IF NOT EXISTS.",
		Manual:  "CREATE INDEX, Building Indexes Concurrently",
		Strong:  []string{"remove_invalid_indexes"},
	},
	{
		Code: "index_build_lock_timeout", Severity: Risk, Title: "Concurrent build under a lock_timeout",
		Explain: "A concurrent build waits for every transaction that was open when it began. Nobody waits behind it, but lock_timeout ends this wait too, and what is left is an invalid index.",
		Safe:    "SET lock_timeout = 0 before a concurrent build. pleat's create_index does, and limits the build as a whole.",
		Manual:  "CREATE INDEX, Building Indexes Concurrently; lock_timeout",
		Strong:  []string{"remove_invalid_indexes"},
	},
	{
		Code: "index_corruption_14", Severity: Risk, Title: "Concurrent builds of 14.0 to 14.3 can lose rows",
		Explain: "In these versions a concurrent build can miss rows that are changed while it runs. The index is marked valid and gives wrong answers.",
		Safe:    "Upgrade to 14.4 or later first.",
		Manual:  "Release Notes, 14.4",
		Strong:  []string{"add_index_corruption"},
	},
	{
		Code: "index_many_columns", Severity: Advice, Title: "Index of more than three columns",
		Explain: "Each column makes the index larger and every write dearer, and columns after the first that is not asked for by equality rarely help.",
		Safe:    "Begin with the most selective columns, or use several indexes, which PostgreSQL can combine.",
		Manual:  "§11.3 Multicolumn Indexes; §11.5 Combining Multiple Indexes",
		Strong:  []string{"add_index_columns"},
	},
	{
		Code: "hash_index", Severity: Advice, Title: "Hash index",
		Explain: "It answers nothing but equality, cannot be unique and cannot be read in order.",
		Safe:    "A btree index, unless measurements speak for the hash.",
		Manual:  "§11.2 Index Types",
		Strong:  []string{"add_hash_index"},
	},
}
