package hazard

import (
	"slices"
	"strconv"
	"strings"
)

// serials are the names that are no types.
var serials = []string{"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"}

// builtins are types of pg_catalog by their width on disk; 0 is variable.
var builtins = map[string]int{
	"int8": 8, "bigserial": 8, "serial8": 8, "float8": 8, "timestamp": 8, "timestamptz": 8, "time": 8, "money": 8, "pg_lsn": 8,
	"interval": 8, "timetz": 8, "point": 8, "lseg": 8, "box": 8, "circle": 8, "line": 8,
	"int4": 4, "serial": 4, "serial4": 4, "float4": 4, "date": 4, "oid": 4, "regclass": 4,
	"int2": 2, "smallserial": 2, "serial2": 2, "bool": 1, "char": 1, "uuid": 1,
	"text": 0, "varchar": 0, "bpchar": 0, "bytea": 0, "json": 0, "jsonb": 0, "numeric": 0, "xml": 0, "bit": 0, "varbit": 0,
	"inet": 0, "cidr": 0, "macaddr": 0, "macaddr8": 0, "tsvector": 0, "tsquery": 0, "name": 0, "path": 0, "polygon": 0,
	"int4range": 0, "int8range": 0, "numrange": 0, "tsrange": 0, "tstzrange": 0, "daterange": 0, "jsonpath": 0,
}

func builtinType(kind string) bool {
	base, _, _ := strings.Cut(strings.TrimSuffix(kind, "[]"), "(")
	_, known := builtins[base]
	return known
}

// typeOf is a type as text: the catalog's name, modifiers and array.
func typeOf(n node) string {
	words := n.words("names")
	if len(words) == 2 && words[0] == "pg_catalog" {
		words = words[1:]
	}
	kind := strings.Join(words, ".")
	var mods []string
	for _, m := range n.items("typmods") {
		mods = append(mods, strconv.Itoa(m.node.child("ival").number("ival")))
	}
	if len(mods) > 0 {
		kind += "(" + strings.Join(mods, ",") + ")"
	}
	if n.has("arrayBounds") {
		kind += "[]"
	}
	return kind
}

// unserial is the type that a serial column has.
func unserial(kind string) string {
	switch kind {
	case "serial", "serial4":
		return "int4"
	case "bigserial", "serial8":
		return "int8"
	case "smallserial", "serial2":
		return "int2"
	}
	return kind
}

// keepsBytes tells whether PostgreSQL takes values of one type for another as
// they are: a limit of varchar that grows or goes, a numeric with more digits
// before the point.
func keepsBytes(from, to string) bool {
	was, old := modifiers(from)
	becomes, limits := modifiers(to)
	switch {
	case from == "":
		return false
	case was == "varchar" && becomes == "text", was == "text" && becomes == "varchar" && limits == nil:
		return true
	case was == "varchar" && becomes == "varchar":
		return limits == nil || old != nil && limits[0] >= old[0]
	case was == "numeric" && becomes == "numeric":
		return limits == nil || len(old) == 2 && len(limits) == 2 && old[1] == limits[1] && limits[0] >= old[0]
	}
	return from == to
}

func modifiers(kind string) (base string, numbers []int) {
	base, rest, found := strings.Cut(kind, "(")
	if !found {
		return base, nil
	}
	for _, field := range strings.Split(strings.TrimSuffix(rest, ")"), ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			return kind, nil
		}
		numbers = append(numbers, n)
	}
	return base, numbers
}

// columnType is advice about the type of a column.
func (s *scope) columnType(def node) {
	kind, name := typeOf(def.child("typeName")), def.text("colname")
	base, limits := modifiers(strings.TrimSuffix(kind, "[]"))
	if name == "" {
		name = "the column"
	}
	code := ""
	switch {
	case base == "json":
		code = "type_json"
	case base == "bpchar":
		code = "type_char"
	case base == "varchar" && limits != nil:
		code = "type_varchar"
	case base == "timestamp":
		code = "type_timestamp"
	case base == "int4":
		code = "type_int"
	case base == "int2":
		code = "type_smallint"
	case slices.Contains(serials, base):
		code = "type_serial"
	default:
		return
	}
	s.find(code, "%s is %s", name, kind)
}

// padding is how many bytes of each row lie between columns, and how few could.
func padding(kinds []string) (waste, least int) {
	sorted := slices.Clone(kinds)
	slices.SortStableFunc(sorted, func(a, b string) int { return align(b) - align(a) })
	return gaps(kinds), gaps(sorted)
}

func align(kind string) int {
	base, _, _ := strings.Cut(kind, "(")
	switch width, known := builtins[base]; {
	case !known || width == 0 || strings.HasSuffix(kind, "[]"):
		return 0
	default:
		return width
	}
}

func gaps(kinds []string) int {
	offset, waste := 0, 0
	for _, k := range kinds {
		a := align(k)
		if a == 0 {
			break // from the first variable column on, nobody can tell
		}
		gap := (a - offset%a) % a
		waste += gap
		offset += gap + width(k, a)
	}
	return waste
}

func width(kind string, alignment int) int {
	switch kind {
	case "uuid", "interval", "point":
		return 16
	case "timetz":
		return 12
	}
	return alignment
}

// names is advice about the names in a statement.
func (s *scope) names(i item) {
	walkText(map[string]any(i.node), func(name string) {
		if len(name) >= maxName-3 && len(name) <= maxName && s.longer(name) {
			s.find("identifier_too_long", "%s… is cut to 63 bytes", name)
		}
	})
	walk(map[string]any(i.node), func(kind string, n node) bool {
		if (kind == "relation" || kind == "RangeVar") && n.text("schemaname") == "" && n.text("relname") != "" && n.text("relpersistence") != "t" {
			s.find("unqualified_table", "%s is looked for in the search_path", n.text("relname"))
		}
		return true
	})
}

// maxName is the longest identifier that PostgreSQL keeps whole, in bytes.
const maxName = 63

// longer tells whether the text goes on where the grammar has cut a name.
func (s *scope) longer(name string) bool {
	lower := strings.ToLower(s.Text)
	i := strings.Index(lower, strings.ToLower(name))
	if i < 0 || i+len(name) >= len(lower) {
		return false
	}
	next := lower[i+len(name)]
	return next == '_' || next == '$' || next >= 0x80 || next >= '0' && next <= '9' || next >= 'a' && next <= 'z'
}

func walkText(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, e := range v {
			walkText(e, visit)
		}
	case map[string]any:
		for _, e := range v {
			walkText(e, visit)
		}
	}
}

// versions is about parts of statements that the server does not know yet.
func (s *scope) versions(i item) {
	version := s.text.reader.options.Version / 10000
	if version == 0 {
		return
	}
	later := func(first int, what string) {
		if version < first {
			s.find("not_in_this_version", "%s came with PostgreSQL %d; the server is %d", what, first, version)
		}
	}
	if i.kind == "MergeStmt" {
		later(15, "MERGE")
	}
	walk(map[string]any{i.kind: map[string]any(i.node)}, func(kind string, n node) bool {
		if n.flag("nulls_not_distinct") {
			later(15, "NULLS NOT DISTINCT")
		}
		if n.has("sql_body") {
			later(14, "BEGIN ATOMIC")
		}
		if kind == "AlterTableCmd" {
			s.versionOf(n, later)
		}
		if kind == "DefElem" && n.text("defname") == "security_invoker" {
			later(15, "security_invoker")
		}
		return true
	})
}

func (s *scope) versionOf(cmd node, later func(int, string)) {
	switch cmd.text("subtype") {
	case "AT_DetachPartition":
		if detachesConcurrently(cmd) {
			later(14, "DETACH PARTITION CONCURRENTLY")
		}
	case "AT_SetCompression":
		later(14, "SET COMPRESSION")
	case "AT_SetAccessMethod":
		later(15, "SET ACCESS METHOD")
	case "AT_SetExpression":
		later(17, "SET EXPRESSION")
	}
}
