package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"pleat/migrations/conn"
	"pleat/planner"
)

// withhold puts off the steps that drop something for good and that nobody
// acknowledged by the name of the database and of the object: a word that was
// meant for one database drops nothing in another. It leaves the plan alone.
func (w *world) withhold(plan *planner.Plan, acknowledged []string) (*planner.Plan, error) {
	labels, err := w.labels()
	if err != nil {
		return nil, err
	}
	for _, word := range acknowledged {
		known := slices.Sorted(maps.Values(labels))
		if !slices.ContainsFunc(known, func(label string) bool { return strings.HasPrefix(word, label+":") }) {
			return nil, &usageError{fmt.Errorf("--acknowledge %s: write it as DATABASE:OBJECT; this spec has %s", word, strings.Join(known, ", "))}
		}
	}
	return plan.Withhold(func(s planner.Step) string {
		return unacknowledged(s, labels, acknowledged)
	}), nil
}

// unacknowledged says which word a step wants; "" when it has it.
func unacknowledged(s planner.Step, labels map[string]string, acknowledged []string) string {
	label := labels[strings.TrimPrefix(string(s.Action.Provider()), "database.")]
	var missing []string
	for _, object := range s.Drops {
		if word := label + ":" + object; !slices.Contains(acknowledged, word) {
			missing = append(missing, shellWord(word))
		}
	}
	return planner.NeedsWords(missing)
}

// shellWord is a text as one word of a shell's command line.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./:@", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// labels name the databases of the spec for a person, "HOST/DATABASE" or
// "HOST:PORT/DATABASE", by their names in it.
func (w *world) labels() (map[string]string, error) {
	out := map[string]string{}
	for _, d := range w.spec.Databases {
		label, err := conn.Label(d.URL)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Address(), err)
		}
		out[d.Name] = label
	}
	return out, nil
}

// withheld are the words without which a plan does nothing now; nil where it
// does something.
func withheld(plan *planner.Plan) error {
	if plan.Now() > 0 {
		return nil
	}
	words := plan.Words()
	if len(words) == 0 {
		return nil
	}
	return &codeError{
		exitBlocked, errors.New("all that is left is to drop what nobody acknowledged"),
		"the same command with " + strings.Join(words, " "),
	}
}
