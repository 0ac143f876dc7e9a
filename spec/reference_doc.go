package spec

import (
	"fmt"
	"io"
	"strings"

	_ "embed"
)

// introduction is the hand-written part of the language's documentation.
//
//go:embed introduction.md
var introduction string

// WriteReference writes docs/language.md: the introduction, and then every
// block and argument from the tables that the loader decodes by.
func WriteReference(w io.Writer) error {
	d := reference{}
	d.out.WriteString(introduction)
	d.line("\n\n## Blocks and arguments\n")
	d.line("Whatever is not listed here is refused. What is listed as not supported yet belongs to the language, and is refused by this version.")
	for _, b := range language.blocks {
		d.block(b, 3)
	}
	d.line("\n## Functions\n")
	d.line("%s", strings.Join(functionNames(), ", "))
	d.line("\nAmong the blocks of a file, not supported yet: %s.", code(language.later))
	_, err := io.WriteString(w, d.out.String())
	return err
}

func functionNames() []string {
	var names []string
	for _, name := range sortedKeys(functions(nil)) {
		names = append(names, "`"+name+"`")
	}
	return names
}

// reference writes Markdown.
type reference struct{ out strings.Builder }

func (d *reference) line(format string, args ...any) {
	fmt.Fprintf(&d.out, format, args...)
	d.out.WriteByte('\n')
}

func (d *reference) block(b *block, level int) {
	d.line("\n%s `%s`\n", strings.Repeat("#", min(level, 6)), b.header())
	d.line("%s%s", b.doc, b.times())
	d.attributes(b)
	for _, v := range b.variants {
		d.line("\n%s `%s %q`\n", strings.Repeat("#", min(level+1, 6)), b.name, v.name)
		d.line("%s", v.doc)
		d.attributes(v)
		for _, c := range v.blocks {
			d.block(c, level+2)
		}
	}
	if len(b.later) > 0 {
		d.line("\nNot supported yet: %s.", code(b.later))
	}
	for _, c := range b.blocks {
		d.block(c, level+1)
	}
}

// times says how often a block may stand in its parent.
func (b *block) times() string {
	switch {
	case b.required && b.single:
		return " Exactly one."
	case b.required:
		return " At least one."
	case b.single:
		return " At most one."
	}
	return ""
}

func (d *reference) attributes(b *block) {
	list := b.attributes
	if b.forEach {
		list = append(list[:len(list):len(list)], forEachArgument)
	}
	if len(list) == 0 {
		return
	}
	d.line("\n| argument | takes | default | |")
	d.line("|---|---|---|---|")
	for _, a := range list {
		d.line("| `%s` | %s | %s | %s |", a.name, a.takes(), a.defaults(), cell(a.doc))
	}
}

// takes is the type of an argument with its range.
func (a attribute) takes() string {
	switch a.kind {
	case kindRef:
		return "`" + a.target + "`"
	case kindRefs:
		return "list of `" + a.target + "`"
	case kindCount:
		return fmt.Sprintf("%d to %d", a.min, a.max)
	case kindDuration:
		return fmt.Sprintf("duration, %s to %s", FormatDuration(a.shortest), FormatDuration(a.longest))
	}
	if a.oneOf != nil {
		return code(a.oneOf)
	}
	return string(a.kind)
}

func (a attribute) defaults() string {
	if a.required {
		return "required"
	}
	if a.fallback == "" {
		return ""
	}
	switch a.kind {
	case kindCount, kindBool:
		return "`" + a.fallback + "`"
	}
	return "`" + quote(a.fallback) + "`"
}

func code(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
