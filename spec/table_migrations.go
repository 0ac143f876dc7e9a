package spec

import "time"

var migrationsTable = &block{
	name: "migrations", labels: []string{"NAME"},
	doc: "A golang-migrate directory, taken as it is. Its versions are run one by one, each once every release that may be running can live with it.",
	attributes: []attribute{
		{name: "database", kind: kindRef, target: "database.NAME", doc: "Where. Without it, the only database."},
		{name: "source", kind: kindString, required: true, doc: "The directory, relative to the spec and within it: `DIR` or `file://DIR`."},
		{name: "table", kind: kindString, fallback: "schema_migrations", doc: "Where golang-migrate records the version: `NAME` or `SCHEMA.NAME`."},
		{name: "version", kind: kindVersion, doc: "The version that should be live. Without it, the newest of the directory."},
		{name: "hold", kind: kindDuration, shortest: 50 * time.Millisecond, longest: day, doc: "Longest time that one of its files may keep others away from a table. Without it, the database's `lock { hold }`."},
		{name: "allow", kind: kindStrings, doc: "Hazards that its files may have, by code: `[\"drop_table\"]`. `pleat explain` lists the codes. For one statement of one file: a comment `-- pleat:allow CODE reason` before it."},
		windowArgument("Its files run"),
	},
	later: []string{"gate", "transaction", "lock"},
}

var schemaVersionTable = &block{
	name: "schema_version",
	doc:  "Versions of a golang-migrate directory that the release runs with. Several of one directory are taken together. Where one release of a service has such a block, all of them have.",
	attributes: []attribute{
		{name: "migrations", kind: kindRef, target: "migrations.NAME", doc: "The directory. Without it, the only one of the databases that the service uses."},
		{name: "min", kind: kindVersion, doc: "The first version that it runs with. Without it, it runs with an empty schema too."},
		{name: "max", kind: kindVersion, doc: "The last version that it runs with. Without it and `below`, it runs with all later ones."},
		{name: "below", kind: kindVersion, doc: "The first version that it does not run with any more; instead of `max`."},
		{name: "ships", kind: kindVersion, doc: "The newest version that it was built with: it is rolled out once the database has come to it. Without it, `min`; with `migrate_on_start`, the newest of the directory that it runs with."},
	},
}
