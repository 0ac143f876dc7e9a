package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"pleat/spec"
)

// maxName is the longest identifier that Postgres keeps whole, in bytes.
const maxName = 63

// Ident quotes an identifier of one or more parts: Ident("app", "users") is
// `"app"."users"`. Always quoted, so that no list of reserved words can age.
func Ident(parts ...string) string {
	quoted := make([]string, len(parts))
	for i, p := range parts {
		quoted[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
	}
	return strings.Join(quoted, ".")
}

// Literal quotes a string for any setting of standard_conforming_strings.
func Literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if !strings.Contains(s, `\`) {
		return quoted
	}
	return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
}

// HiddenName is what a column or table is called while it is hidden.
func HiddenName(name string) string { return shorten(hiddenPrefix + name) }

// What pleat calls a thing that is made beside another, and one that is hidden.
const newPrefix, hiddenPrefix = spec.NewPrefix, "pleat_hidden_"

// isBeside tells whether a name is one of those, and thus not an author's.
func isBeside(name string) bool {
	return strings.HasPrefix(name, newPrefix) || strings.HasPrefix(name, hiddenPrefix)
}

// OldWritesSequence names the sequence, in the schema pleat, that counts the
// writes in the old shape that a change's sync has seen.
func OldWritesSequence(change string) string { return suffixed(change, "_old_writes") }

// TriggerName names a change's sync trigger. Postgres fires triggers in the
// order of their names, and this one has to see what the others did.
func TriggerName(change string) string { return shorten("zzz_pleat_" + change) }

func functionName(change string, t spec.Table) string {
	return shorten(change + "." + t.String())
}

func tableIdent(t spec.Table) string { return Ident(t.Schema, t.Name) }

// shorten keeps names apart that differ only beyond what Postgres keeps.
func shorten(name string) string { return suffixed(name, "") }

func suffixed(name, suffix string) string {
	if len(name)+len(suffix) <= maxName {
		return name + suffix
	}
	sum := sha256.Sum256([]byte(name))
	suffix = "_" + hex.EncodeToString(sum[:4]) + suffix
	cut := maxName - len(suffix)
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + suffix
}

// serverName is what Postgres calls an object of a table for itself: the table's
// name is cut to let the rest stand.
func serverName(table, suffix string) string {
	cut := min(len(table), maxName-len(suffix))
	for cut < len(table) && !utf8.RuneStart(table[cut]) {
		cut--
	}
	return table[:cut] + suffix
}
