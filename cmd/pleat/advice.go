package main

import (
	"slices"
	"strings"
)

// hinted is an error that knows what to do about it.
type hinted interface{ Hint() string }

// detailed is an error that has more to show than its line, such as what a
// program wrote before it died.
type detailed interface{ Detail() string }

// advice is what the errors in a tree have to say beside what happened.
type advice struct{ details, hints, next []string }

// adviceIn walks the tree of an error. What its text says already, or what was
// said before, is left out.
func adviceIn(err error) advice {
	var out advice
	said := ""
	if err != nil {
		said = err.Error()
	}
	add := func(list *[]string, text string) {
		if text != "" && !strings.Contains(said, text) && !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	walk(err, func(err error) {
		if d, ok := err.(detailed); ok {
			add(&out.details, d.Detail())
		}
		if h, ok := err.(hinted); ok {
			add(&out.hints, h.Hint())
		}
		if c, ok := err.(*codeError); ok {
			add(&out.next, c.next)
		}
	})
	return out
}

// walk visits every error in a tree, the outermost first.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		walk(u.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, inner := range u.Unwrap() {
			walk(inner, visit)
		}
	}
}
