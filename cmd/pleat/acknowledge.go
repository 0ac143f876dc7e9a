package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
			missing = append(missing, "--acknowledge "+word)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "needs " + strings.Join(missing, " ")
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
	var words []string
	for _, s := range plan.Steps {
		if rest, ok := strings.CutPrefix(s.Deferred, "needs --acknowledge"); ok {
			words = append(words, "--acknowledge"+rest)
		}
	}
	if len(words) == 0 {
		return nil
	}
	return &codeError{
		exitBlocked, errors.New("all that is left is to drop what nobody acknowledged"),
		"the same command with " + strings.Join(unique(words), " "),
	}
}
