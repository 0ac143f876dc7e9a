package hazard

import (
	"slices"
	"strings"
)

// Severity is what a finding asks of a person. The zero value is invalid.
type Severity string

// The severities.
const (
	Risk     Severity = "hazard"   // must be allowed by name before it runs
	Obstacle Severity = "obstacle" // nothing begins until it is out of the way
	Advice   Severity = "advice"   // said by lint, stops nothing
)

// Subject is what a code is found in. The zero value is invalid.
type Subject string

// The subjects.
const (
	InSQL          Subject = "sql"           // a statement that an author wrote
	InStep         Subject = "step"          // a step of a plan, whoever wrote its SQL
	InCircumstance Subject = "circumstances" // what surrounds the tables of a plan
)

// Doc is everything that pleat has to say about one code.
type Doc struct {
	Code     string   `json:"code"` // stable
	Severity Severity `json:"severity"`
	Found    Subject  `json:"found"`
	Optional bool     `json:"optional,omitempty"` // lint looks for it only when asked
	Title    string   `json:"title"`
	Explain  string   `json:"explain"` // what happens, who waits, for how long
	Safe     string   `json:"safe"`    // the way without it
	Allow    string   `json:"allow"`   // how it is allowed, or left out
	Manual   string   `json:"manual"`  // where PostgreSQL's manual says so
	Squawk   []string `json:"squawk,omitempty"`
	Strong   []string `json:"strong_migrations,omitempty"` // online_migrations included
}

// Codes are all codes in alphabetical order.
func Codes() []Doc {
	all := slices.Concat(
		found(InSQL, readingDocs, indexDocs, lockDocs, columnDocs, constraintDocs, tableDocs, objectDocs, dataDocs, styleDocs),
		found(InStep, stepDocs), found(InCircumstance, circumstanceDocs),
	)
	slices.SortFunc(all, func(a, b Doc) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// SQLCodes are those that statements are read for, in alphabetical order.
func SQLCodes() []Doc {
	return slices.DeleteFunc(Codes(), func(d Doc) bool { return d.Found != InSQL })
}

func found(s Subject, lists ...[]Doc) []Doc {
	all := slices.Concat(lists...)
	for i := range all {
		all[i].Found = s
		if all[i].Allow == "" {
			all[i].Allow = all[i].usual()
		}
	}
	return all
}

// usual is how a code is allowed that says nothing of its own.
func (d Doc) usual() string {
	switch {
	case d.Severity == Obstacle:
		return "never: what it stands for would fail"
	case d.Severity == Advice:
		return "it stops nothing; `-- pleat:allow " + d.Code + " reason` before the statement, or `--exclude " + d.Code + "` of `pleat lint`, leaves it out"
	case d.Found == InSQL:
		return "by `allow` of the block that has the SQL, `-- pleat:allow " + d.Code + " reason` before the statement, or `--allow-hazards " + d.Code + "`"
	}
	return "by `--allow-hazards " + d.Code + "`"
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

// Must is a code that there is.
func Must(code string) Doc {
	d, known := Explain(code)
	if !known {
		panic("hazard: no code " + code)
	}
	return d
}
