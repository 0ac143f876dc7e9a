package migrations

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// aliases are the manual's other names of its types (§8, table 8.1) by what
// format_type() says.
var aliases = map[string]string{
	"int": "integer", "int4": "integer", "int2": "smallint", "int8": "bigint",
	"bool": "boolean", "float4": "real", "float8": "double precision", "float": "double precision",
	"decimal": "numeric", "varchar": "character varying", "char": "character", "bpchar": "character",
	"timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
	"timetz": "time with time zone", "time": "time without time zone", "varbit": "bit varying", "dec": "numeric",
	"char varying": "character varying", "nchar": "character", "national char": "character", "national character": "character",
	"national char varying": "character varying", "national character varying": "character varying",
}

var plainTypes = []string{
	"text", "uuid", "bytea", "date", "json", "jsonb", "integer", "smallint", "bigint", "boolean", "real",
	"double precision", "numeric", "character varying", "character", "bpchar", "timestamp with time zone",
	"timestamp without time zone", "time with time zone", "time without time zone",
}

// written is a type without quotes: its name, the modifier, the words that come
// behind that, and whether it is an array.
var written = regexp.MustCompile(`^(?:pg_catalog\.)?([a-z0-9_. ]+?) ?(\([^()]*\))? ?(with(?:out)? time zone)? ?(array)? ?((?:\[\d*\] ?)*)$`)

// canonicalType is a type as format_type() writes it, as far as it is an alias
// of a built-in one.
func canonicalType(sql string) string {
	name, modifier, array := typeParts(sql)
	if first, zone, timed := strings.Cut(name, " with"); timed {
		return first + modifier + " with" + zone + array
	}
	return name + modifier + array
}

// baseType is canonicalType without the modifier.
func baseType(sql string) string {
	name, _, array := typeParts(sql)
	return name + array
}

func typeParts(sql string) (name, modifier, array string) {
	if strings.Contains(sql, `"`) {
		return foldUnquoted(sql), "", ""
	}
	sql = strings.Join(strings.Fields(strings.ToLower(sql)), " ")
	parts := written.FindStringSubmatch(sql)
	if parts == nil {
		return sql, "", ""
	}
	name, modifier = strings.TrimSpace(parts[1]+" "+parts[3]), strings.ReplaceAll(parts[2], " ", "")
	if parts[4]+parts[5] != "" {
		array = "[]" // the server keeps no number of dimensions
	}
	bare := name
	if long, ok := aliases[name]; ok {
		name = long
	}
	name, modifier = meant(bare, name, modifier)
	return name, modifier, array
}

// meant adds what the standard has a type mean that has no modifier, or not all
// of it.
func meant(bare, name, modifier string) (string, string) {
	switch {
	case bare == "bpchar" && modifier == "":
		return bare, ""
	case (name == "character" || name == "bit") && modifier == "":
		return name, "(1)"
	case name == "numeric" && modifier != "" && !strings.Contains(modifier, ","):
		return name, strings.TrimSuffix(modifier, ")") + ",0)"
	case bare == "float" && modifier != "":
		if digits, err := strconv.Atoi(strings.Trim(modifier, "()")); err == nil && digits <= 24 {
			return "real", ""
		}
		return name, ""
	}
	return name, modifier
}

// foldUnquoted leaves alone what stands in quotes. Space means nothing beside it.
func foldUnquoted(sql string) string {
	parts := strings.Split(sql, `"`)
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.Join(strings.Fields(strings.ToLower(parts[i])), "")
	}
	return strings.Join(parts, `"`)
}

// sameType tells whether two texts name one type, of which either may leave out
// the schema public, and quotes that a name does not need.
func sameType(a, b string) bool {
	bare := func(sql string) string {
		return strings.TrimPrefix(needless.ReplaceAllString(canonicalType(sql), "$1"), "public.")
	}
	return bare(a) == bare(b)
}

var needless = regexp.MustCompile(`"([a-z_][a-z0-9_]*)"`)

func knownType(sql string) bool {
	return slices.Contains(plainTypes, baseType(sql))
}
