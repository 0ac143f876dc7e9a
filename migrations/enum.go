package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

type createEnum struct {
	plain
	*spec.CreateEnum
}

func (o createEnum) rank() int { return rankType }

func (o createEnum) form() any { return []any{o.Enum, o.Values} }

func (o createEnum) expand(l *lowering) bool {
	live := l.live.Enum(o.Enum)
	if live != nil && !within(o.Values, live) {
		l.problem(o.Range, "Enum with other values", fmt.Sprintf(
			"There is an enum %s already, of %s; this change would make it of %s. Give it another name, or add values to it by add_enum_value.",
			o.Enum, strings.Join(live, ", "), strings.Join(o.Values, ", ")))
		return true
	}
	u := Unit{
		ID: "enum." + o.Enum.String(), Title: "enum " + o.Enum.String(), Mode: InTransaction,
		Statements: []string{createEnumSQL(o.Enum, o.Values)},
		Undo:       []string{dropEnumSQL(o.Enum)}, UndoTitle: "drop enum",
		Applied: live != nil, Visible: true, Source: o.Range,
	}
	l.program.Expand = append(l.program.Expand, missingUnless(u, u.Title))
	if live == nil {
		l.next.setEnum(o.Enum, o.Values)
	}
	return true
}

func (o createEnum) unexpand(l *lowering) { delete(l.next.Enums, o.Enum.String()) }

// within tells whether the values are among those of an enum, in their order:
// others may have been added since.
func within(values, all []string) bool {
	if len(all) == 0 {
		return true
	}
	for _, v := range values {
		i := slices.Index(all, v)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}

func createEnumSQL(t spec.Table, values []string) string {
	return fmt.Sprintf("CREATE TYPE %s AS ENUM (%s)", tableIdent(t), literals(values))
}

func dropEnumSQL(t spec.Table) string { return "DROP TYPE IF EXISTS " + tableIdent(t) }

func literals(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = Literal(v)
	}
	return strings.Join(quoted, ", ")
}

func (c *Catalog) setEnum(t spec.Table, values []string) {
	if c.Enums == nil {
		c.Enums = map[string][]string{}
	}
	c.Enums[t.String()] = values
}

// enum gives the values of the enum as they will be, and says so where there is
// none. Of one that Project put back there are none known.
func (l *lowering) enum(t spec.Table, at hcl.Range) []string {
	values := l.next.Enum(t)
	if values == nil {
		l.problem(at, "Unknown enum", "Enum "+t.String()+" does not exist, and no change before "+
			l.change.Name+" creates it. Create it in this change, or name the change that does in `after`.")
	}
	return values
}

func (l *lowering) unknownEnumValue(at hcl.Range, t spec.Table, value string, values []string) {
	l.problem(at, "Unknown enum value", fmt.Sprintf("Enum %s has no value %s. It has %s.", t, value, strings.Join(values, ", ")))
}
