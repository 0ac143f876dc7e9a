package hazard

import (
	"slices"
	"strings"
)

// Severity is what a finding asks of a person. The zero value is invalid.
type Severity string

// The severities.
const (
	Risk   Severity = "hazard" // must be allowed by name before it runs
	Advice Severity = "advice" // said by lint, stops nothing
)

// Doc is everything that pleat has to say about one code.
type Doc struct {
	Code     string   `json:"code"` // stable
	Severity Severity `json:"severity"`
	Optional bool     `json:"optional,omitempty"` // lint looks for it only when asked
	Title    string   `json:"title"`
	Explain  string   `json:"explain"` // what happens, who waits, for how long
	Safe     string   `json:"safe"`    // the way without it
	Manual   string   `json:"manual"`  // where PostgreSQL's manual says so
	Squawk   []string `json:"squawk,omitempty"`
	Strong   []string `json:"strong_migrations,omitempty"` // online_migrations included
}

// Codes are all codes in alphabetical order.
func Codes() []Doc {
	all := slices.Concat(readingDocs, indexDocs, lockDocs, columnDocs, constraintDocs, tableDocs, objectDocs, dataDocs, styleDocs)
	slices.SortFunc(all, func(a, b Doc) int { return strings.Compare(a.Code, b.Code) })
	return all
}

var byCode = indexed()

func indexed() map[string]Doc {
	all := map[string]Doc{}
	for _, d := range Codes() {
		all[d.Code] = d
	}
	return all
}

// Explain finds a code.
func Explain(code string) (Doc, bool) {
	d, found := byCode[code]
	return d, found
}
