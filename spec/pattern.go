package spec

import (
	"regexp"
	once "sync"
)

// Pattern is a regular expression that is compiled when it is first asked for:
// a verb that needs none does not pay for all of them at its start.
func Pattern(expression string) func() *regexp.Regexp {
	return once.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
