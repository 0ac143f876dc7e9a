package planner

import (
	"fmt"

	"pleat/migrations"
	"pleat/spec"
)

// quiets are the author's questions that a contract waits for.
func (e *emitter) quiets(c *spec.Change) []Guard {
	var out []Guard
	for _, q := range c.Contract.Quiets {
		if _, err := migrations.Question(q.SQL); err != nil {
			e.diags = append(e.diags, problem("Invalid quiet", fmt.Sprintf("The sql of quiet %s cannot be asked: %v.", q.Name, err), q.Range))
		}
		out = append(out, &Quiet{Database: q.Database.Name, Name: q.Name, SQL: q.SQL, For: q.Soak})
	}
	return out
}

func quietWaits(c *spec.Change) []string {
	var out []string
	for _, q := range c.Contract.Quiets {
		out = append(out, shortDuration(q.Soak)+" quiet "+q.Name)
	}
	return out
}
