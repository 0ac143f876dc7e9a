package spec

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
)

const (
	// nearestDistance is how many edits a suggestion may be away.
	nearestDistance = 3
	// listed is how many names a diagnostic lists.
	listed = 10
)

// Nearest is the name that given was probably meant to be; "" when none is
// close.
func Nearest(given string, names []string) string {
	best, distance := "", nearestDistance+1
	length := utf8.RuneCountInString(given)
	for _, name := range names {
		if n := utf8.RuneCountInString(name); n > length+nearestDistance || n < length-nearestDistance {
			continue
		}
		if d := levenshtein.Distance(given, name, nil); d < distance {
			best, distance = name, d
		}
	}
	if 2*distance > length+1 {
		return ""
	}
	return best
}

// DidYouMean is the sentence that suggests the nearest name, with a leading
// space, or "".
func DidYouMean(given string, names []string) string {
	if name := Nearest(given, names); name != "" {
		return " Did you mean " + name + "?"
	}
	return ""
}

// among lists names for a person: sorted, and not too many.
func among(names []string) string {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	if len(sorted) <= listed {
		return strings.Join(sorted, ", ")
	}
	return strings.Join(sorted[:listed], ", ") + ", …"
}
