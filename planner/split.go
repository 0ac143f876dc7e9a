package planner

import (
	"fmt"
	"slices"
	"strings"
)

// Split says how a router spreads requests over releases. The zero value gives
// every instance the same.
type Split struct {
	// Rules come first: a request goes to the release of the first one that it
	// fits, as long as anything of that release serves.
	Rules []Rule `json:"rules,omitempty"`
	// Shares are for the rest, in the order of releases, and 100 together. A
	// release without one gets none. None at all: every instance gets the same.
	Shares []Share `json:"shares,omitempty"`
	// Sticky keeps who comes back at his release, as far as shares allow; nil:
	// each request is on its own.
	Sticky *Sticky `json:"sticky,omitempty"`
}

// Rule sends requests to a release by a header or a cookie.
type Rule struct {
	Header  string `json:"header,omitempty"`
	Cookie  string `json:"cookie,omitempty"`
	Value   string `json:"value,omitempty"` // "": any, but it must be there
	Release string `json:"release"`
}

// Sticky is what tells one who comes back.
type Sticky struct {
	Header string `json:"header,omitempty"`
	Cookie string `json:"cookie,omitempty"` // that the router gives those who have none
}

// Share is how much of a router's requests the instances of a release get
// together.
type Share struct {
	Release string `json:"release"`
	Percent int    `json:"percent"` // 0 to 100
}

// Even tells whether every instance gets the same.
func (s Split) Even() bool { return len(s.Rules) == 0 && len(s.Shares) == 0 }

// Equal tells whether both spread requests alike.
func (s Split) Equal(o Split) bool {
	sticky := s.Sticky == o.Sticky || s.Sticky != nil && o.Sticky != nil && *s.Sticky == *o.Sticky
	return sticky && slices.Equal(s.Rules, o.Rules) && slices.Equal(s.Shares, o.Shares)
}

// Share is the percentage of a release; false where there are no shares.
func (s Split) Share(release string) (percent int, shared bool) {
	for _, share := range s.Shares {
		if share.Release == release {
			return share.Percent, true
		}
	}
	return 0, len(s.Shares) > 0
}

// Reaches tells whether requests get to a release but by a rule.
func (s Split) Reaches(release string) bool {
	percent, shared := s.Share(release)
	return !shared || percent > 0
}

// Withholds tells whether a release is held back from all requests, as one is whose
// first share has yet to come. Of one that had all of them before another has them
// now, nothing is said.
func (s Split) Withholds(release string) bool {
	held := slices.ContainsFunc(s.Shares, func(share Share) bool { return share.Release == release && share.Percent == 0 })
	return held && !slices.ContainsFunc(s.Rules, func(rule Rule) bool { return rule.Release == release })
}

// String is "r1=90% r2=10%, X-Beta: yes → r2".
func (s Split) String() string {
	var parts []string
	for _, share := range s.Shares {
		parts = append(parts, fmt.Sprintf("%s=%d%%", share.Release, share.Percent))
	}
	for _, r := range s.Rules {
		parts = append(parts, r.String()+" → "+r.Release)
	}
	return strings.Join(parts, " ")
}

// String is what the rule asks for: "X-Beta: yes", "cookie beta".
func (r Rule) String() string {
	if r.Cookie != "" {
		return strings.TrimSuffix("cookie "+r.Cookie+"="+r.Value, "=")
	}
	return strings.TrimSuffix(r.Header+": "+r.Value, ": ")
}
