package hazard

import (
	_ "embed"
	"slices"
	"strings"
)

// steadyText is every function of pg_catalog, aggregates included, of which
// pg_proc of PostgreSQL 15 says that it is immutable or stable in all of its
// forms, leaving out those that SQL cannot call.
//
//go:embed steady.txt
var steadyText string

// harmless are volatile functions of pg_catalog that touch nothing but a
// sequence, the session or what they return.
var harmless = []string{
	"clock_timestamp", "currval", "gen_random_uuid", "lastval", "nextval", "pg_database_size", "pg_indexes_size",
	"pg_is_in_recovery", "pg_relation_size", "pg_table_size", "pg_total_relation_size", "random", "set_config",
	"setseed", "setval", "timeofday", "txid_status",
}

// function is the name of a call and whether the schema allows it to be one of
// PostgreSQL's own.
func function(call node) (name string, builtin bool) {
	words := call.words("funcname")
	if len(words) == 0 {
		return "", false
	}
	name = strings.Join(words, ".")
	switch {
	case len(words) == 1:
		return name, true
	case len(words) == 2 && words[0] == "pg_catalog":
		return words[1], true
	}
	return name, false
}

func steady(name string) bool {
	// The list ends with a line break too.
	return strings.Contains("\n"+steadyText, "\n"+name+"\n")
}

// volatile names the first function in an expression that may give another
// value for each row; "" where there is none.
func volatile(expression any) string {
	found := ""
	walk(expression, func(kind string, n node) bool {
		if kind != "FuncCall" || found != "" {
			return true
		}
		if name, builtin := function(n); !builtin || !steady(name) {
			found = name
		}
		return true
	})
	return found
}

// opaque names the first function in a statement that runs code which is not
// known here; "" where there is none.
func opaque(statement any) string {
	found := ""
	walk(statement, func(kind string, n node) bool {
		if kind != "FuncCall" || found != "" {
			return true
		}
		name, builtin := function(n)
		if !builtin || !steady(name) && !slices.Contains(harmless, name) {
			found = name
		}
		return true
	})
	return found
}
