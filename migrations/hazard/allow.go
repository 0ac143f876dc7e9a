package hazard

import (
	"strings"

	"pleat/spec"
)

// allowance is a comment that allows hazards of the statement after it:
// "-- pleat:allow CODE, CODE reason".
var allowance = spec.Pattern(`(?m)--[ \t]*pleat:allow[ \t]+([a-z0-9_]+(?:[ \t]*,[ \t]*[a-z0-9_]+)*)[ \t]*(.*)$`)

// allow marks the findings that the comments before their statement allow.
func (t *text) allow() {
	end := 0
	for i := range t.statements {
		s := &t.statements[i]
		for _, m := range allowance().FindAllStringSubmatch(t.sql[end:s.Start], -1) {
			for _, code := range strings.Split(m[1], ",") {
				s.allow(strings.TrimSpace(code), strings.TrimSpace(m[2]))
			}
		}
		end = s.End
	}
}

func (s *Statement) allow(code, reason string) {
	for i := range s.Findings {
		if s.Findings[i].Code == code {
			s.Findings[i].Allowed = true
			s.Findings[i].Reason = reason
		}
	}
}
