package main

import "fmt"

// release is what one release does differently from the others.
type release struct {
	version   string
	v1        queries  // of /users and /user, which speak of a name
	v2        *queries // of /v2/user, which speaks of first and last; nil: not in this release
	leaks     bool     // reads begin a transaction and never end it
	crashes   bool     // exits on start
	unhealthy bool     // /healthz never answers 200
}

// queries is one statement for each thing that an endpoint does. Each names
// its columns: a SELECT * would see columns come and go during a change.
type queries struct {
	list   string // $1 limit
	get    string // $1 id
	create string // $1… the fields of the body
	update string // $1 id, $2… the fields of the body
}

// byName is the shape before the change split_name.
var byName = queries{
	list:   `select id, name from users order by id desc limit $1`,
	get:    `select id, name from users where id = $1`,
	create: `insert into users (name) values ($1) returning id, name`,
	update: `update users set name = $2 where id = $1 returning id, name`,
}

// The two directions between a name and its parts, as the change split_name
// has them. The first blank splits; everything after it, blanks and all, is
// last; a name without a blank has no last, which is not an empty one. So
// every name comes back as it was.
const (
	joined   = `concat_ws(' ', first, last)`
	firstOf1 = `split_part($1::text, ' ', 1)`
	lastOf1  = `substring($1::text, ' (.*)')`
	firstOf2 = `split_part($2::text, ' ', 1)`
	lastOf2  = `substring($2::text, ' (.*)')`
)

// byParts serves names without the column name. While that column is there,
// pleat's sync trigger keeps it in step, for these writers as for all others;
// so the same statements work from backfilled to contracted.
var byParts = queries{
	list:   `select id, ` + joined + ` from users order by id desc limit $1`,
	get:    `select id, ` + joined + ` from users where id = $1`,
	create: `insert into users (first, last) values (` + firstOf1 + `, ` + lastOf1 + `) returning id, ` + joined,
	update: `update users set first = ` + firstOf2 + `, last = ` + lastOf2 + ` where id = $1 returning id, ` + joined,
}

// parts is /v2/user as it should be. An empty last in a request means none.
var parts = queries{
	get:    `select id, coalesce(first, ''), coalesce(last, '') from users where id = $1`,
	create: `insert into users (first, last) values ($1, nullif($2, '')) returning id, first, coalesce(last, '')`,
	update: `update users set first = $2, last = nullif($3, '') where id = $1 returning id, first, coalesce(last, '')`,
}

// halfParts is /v2/user as it came first: create sets the name too, update
// forgets it, and unfilled rows have empty parts.
var halfParts = queries{
	get: parts.get,
	create: `insert into users (first, last, name) values ($1, nullif($2, ''), concat_ws(' ', $1::text, nullif($2, '')))
		returning id, first, coalesce(last, '')`,
	update: parts.update,
}

// releases are all that this program can be built as.
var releases = []release{
	{version: "1.0.0", v1: byName, leaks: true},
	{version: "1.0.1", v1: byName},
	// Branched off 1.0.0, so the fix of 1.0.1 is not in it.
	{version: "2.0.0", v1: byName, v2: &halfParts, leaks: true},
	{version: "2.0.2", v1: byParts, v2: &parts},
	{version: "2.0.3", v1: byParts, v2: &parts, crashes: true},
	{version: "2.0.4", v1: byParts, v2: &parts, unhealthy: true},
}

func lookup(version string) (release, error) {
	for _, r := range releases {
		if r.version == version {
			return r, nil
		}
	}
	return release{}, fmt.Errorf("no release %q in this program", version)
}
