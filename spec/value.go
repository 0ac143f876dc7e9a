package spec

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// value evaluates an argument. It is false when the author did not give it,
// when it is null, and when it was reported.
func (n *node) value(name string) (cty.Value, bool) {
	a, ok := n.syntax.Body.Attributes[name]
	if !ok {
		return cty.NilVal, false
	}
	v, ok := n.scope.value(n.problems, a.Expr)
	if !ok {
		return cty.NilVal, false
	}
	if !v.IsNull() {
		return v, true
	}
	if def, _ := n.table.attribute(name); def.required {
		n.problems.add(a.Expr.Range(), "Missing argument", "%s needs the argument %s, and null means that it is not given.", n.title(), name)
	}
	return cty.NilVal, false
}

// shown is value for arguments that end up in plans and messages.
func (n *node) shown(name string, want cty.Type) (cty.Value, bool) {
	v, ok := n.value(name)
	if !ok {
		return cty.NilVal, false
	}
	if v.ContainsMarked() {
		n.sensitiveValue(n.at(name), name)
		return cty.NilVal, false
	}
	return n.converted(v, name, want)
}

func (n *node) sensitiveValue(rng hcl.Range, name string) {
	n.problems.add(rng, "Sensitive value in "+name, "The argument %s of %s is shown in plans and messages. Sensitive values may be used in env, settings, url and token.", name, n.title())
}

func (n *node) converted(v cty.Value, name string, want cty.Type) (cty.Value, bool) {
	c, err := convert.Convert(v, want)
	if err != nil || !c.IsWhollyKnown() {
		def, _ := n.table.attribute(name)
		n.wrongType(name, def.kind)
		return cty.NilVal, false
	}
	return c, !c.IsNull()
}

func (n *node) wrongType(name string, want kind) {
	n.wrongTypeAt(n.at(name), name, want)
}

func (n *node) wrongTypeAt(rng hcl.Range, name string, want kind) {
	what, _, _ := strings.Cut(string(want), ",")
	n.problems.add(rng, "Wrong type", "The argument %s of %s takes a %s.", name, n.title(), what)
}

// str is a string argument, or its default.
func (n *node) str(name string) string {
	def, _ := n.table.attribute(name)
	v, ok := n.shown(name, cty.String)
	if !ok {
		return def.fallback
	}
	s := v.AsString()
	if def.oneOf != nil && !slices.Contains(def.oneOf, s) {
		n.problems.add(n.at(name), "Unknown "+name, "The argument %s of %s cannot be %s.%s It is one of: %s.",
			name, n.title(), quote(s), DidYouMean(s, def.oneOf), strings.Join(def.oneOf, ", "))
		return def.fallback
	}
	if def.required && s == "" {
		n.empty(n.at(name), name)
	}
	if strings.ContainsRune(s, 0) {
		n.problems.add(n.at(name), "NUL byte in "+name, "No value may contain a NUL byte.")
		return def.fallback
	}
	return s
}

func (n *node) empty(rng hcl.Range, name string) {
	n.problems.add(rng, "Empty argument", "The argument %s of %s cannot be empty.", name, n.title())
}

// strs is a list of strings; nil when it is not given.
func (n *node) strs(name string) []string {
	v, ok := n.shown(name, cty.List(cty.String))
	if !ok {
		return nil
	}
	list := []string{}
	for _, e := range v.AsValueSlice() {
		if e.IsNull() || strings.ContainsRune(e.AsString(), 0) {
			n.wrongType(name, kindStrings)
			return nil
		}
		list = append(list, e.AsString())
	}
	return list
}

// strMap is a map of strings.
func (n *node) strMap(name string) map[string]string {
	v, ok := n.shown(name, cty.Map(cty.String))
	if !ok {
		return nil
	}
	m := map[string]string{}
	for key, e := range v.AsValueMap() {
		if e.IsNull() || strings.TrimSpace(e.AsString()) == "" {
			n.problems.add(n.atKey(name, key), "Empty expression", "%s in the argument %s of %s has no value.", key, name, n.title())
			continue
		}
		m[key] = e.AsString()
	}
	return m
}

// flag is a bool argument, or its default.
func (n *node) flag(name string) bool {
	def, _ := n.table.attribute(name)
	v, ok := n.shown(name, cty.Bool)
	if !ok {
		return def.fallback == "true"
	}
	return v.True()
}

// count is a whole number within the range of the table, or its default.
func (n *node) count(name string) int {
	def, _ := n.table.attribute(name)
	fallback, _ := strconv.Atoi(def.fallback) // "" is 0
	v, ok := n.shown(name, cty.Number)
	if !ok {
		return fallback
	}
	i, exact := wholeNumber(v)
	if !exact || i < int64(def.min) || i > int64(def.max) {
		n.problems.add(n.at(name), "Number out of range", "The argument %s of %s is a whole number from %d to %d.", name, n.title(), def.min, def.max)
		return fallback
	}
	return int(i)
}

func wholeNumber(v cty.Value) (int64, bool) {
	f := v.AsBigFloat()
	if !f.IsInt() {
		return 0, false
	}
	i, accuracy := f.Int64()
	return i, accuracy == 0
}

// duration is a duration within the range of the table, or its default; 0
// when there is neither.
func (n *node) duration(name string) time.Duration {
	def, _ := n.table.attribute(name)
	fallback, _ := ParseDuration(def.fallback) // "" is 0
	v, ok := n.shown(name, cty.String)
	if !ok {
		return fallback
	}
	d, err := ParseDuration(v.AsString())
	if err != nil {
		n.problems.add(n.at(name), "Invalid duration", "The argument %s of %s cannot be %s: %s.", name, n.title(), quote(v.AsString()), err)
		return fallback
	}
	if d < def.shortest || d > def.longest {
		n.problems.add(n.at(name), "Duration out of range", "The argument %s of %s is from %s to %s.",
			name, n.title(), FormatDuration(def.shortest), FormatDuration(def.longest))
		return fallback
	}
	return d
}

// text is a string that is secret when it came from a sensitive variable.
func (n *node) text(name, ref string) Text {
	v, ok := n.value(name)
	if !ok {
		return Text{}
	}
	return n.asText(name, n.at(name), ref, v)
}

// secret is text that is secret wherever it came from.
func (n *node) secret(name, ref string) Text {
	t := n.text(name, ref)
	if t.Empty() {
		return t
	}
	return Secret(ref, t.Reveal())
}

func (n *node) asText(name string, rng hcl.Range, ref string, v cty.Value) Text {
	bare, marks := v.UnmarkDeep()
	def, _ := n.table.attribute(name)
	s, err := convert.Convert(bare, cty.String)
	if err != nil || s.IsNull() {
		n.wrongTypeAt(rng, name, def.kind)
		return Text{}
	}
	if def.required && s.AsString() == "" {
		n.empty(rng, name)
	}
	if strings.ContainsRune(s.AsString(), 0) {
		n.problems.add(rng, "NUL byte in "+name, "No value may contain a NUL byte.")
		return Text{}
	}
	if len(marks) > 0 {
		return Secret(ref, s.AsString())
	}
	return Plain(s.AsString())
}

// textMap is a map of texts, each secret by itself. The reference of one is
// ref.KEY.
func (n *node) textMap(name, ref string) map[string]Text {
	v, ok := n.value(name)
	if !ok {
		return nil
	}
	all, marks := v.Unmark()
	if t := all.Type(); !t.IsObjectType() && !t.IsMapType() {
		n.wrongType(name, kindTextMap)
		return nil
	}
	m := map[string]Text{}
	for it := all.ElementIterator(); it.Next(); {
		key, e := it.Element()
		if bare, _ := e.Unmark(); bare.IsNull() {
			continue
		}
		k := key.AsString()
		m[k] = n.asText(name, n.atKey(name, k), ref+"."+k, e.WithMarks(marks))
	}
	return m
}
