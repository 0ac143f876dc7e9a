package hazard

var dataDocs = []Doc{
	{
		Code: "whole_table_write", Severity: Risk, Title: "All rows of a table written in one statement",
		Explain: "Each row that it has passed stays locked until the end, so whoever updates one of them waits; the table grows by as many dead rows, and replicas fall behind.",
		Safe:    "A backfill: it goes in batches, yields, and goes on where it stopped.",
		Manual:  "UPDATE; DELETE; §13.4 Data Consistency Checks",
		Strong:  []string{"backfilling_data"},
	},
	{
		Code: "data_and_schema", Severity: Risk, Title: "Rows and schema changed in one transaction",
		Explain: "The lock of the schema change is kept while the rows are written, and everybody who uses the table waits for that.",
		Safe:    "The schema change alone, then a backfill.",
		Manual:  "§13.3 Explicit Locking",
		Strong:  []string{"add_column_default", "backfilling_data"},
	},
}
