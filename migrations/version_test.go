package migrations_test

import (
	"slices"
	"strings"
	"testing"

	"pleat/migrations"
)

// PostgreSQL 13 cannot replace a trigger. Dropping the one that is there takes
// the strongest lock, and none where there is no trigger.
func TestATriggerIsPutThereAnewWhereTheServerCannotReplaceIt(t *testing.T) {
	tests := []struct {
		version int
		there   bool // another trigger of the change
		replace bool
		lock    migrations.Lock
	}{
		{version: 0, replace: true, lock: migrations.ShareRowExclusive},
		{version: 14, there: true, replace: true, lock: migrations.ShareRowExclusive},
		{version: 13, lock: migrations.ShareRowExclusive},
		{version: 13, there: true, lock: migrations.AccessExclusive},
	}
	for _, test := range tests {
		cat := live()
		cat.Version = test.version
		if test.there {
			cat.Tables["users"].Triggers = []migrations.Trigger{{
				Name: migrations.TriggerName("split_name"), Definition: "CREATE TRIGGER zzz_pleat_split_name BEFORE …",
				Function: "CREATE OR REPLACE FUNCTION …", BeforeRow: true, Comment: "pleat:split_name:other",
			}}
		}
		units := lower(t, splitName(), cat).Expand
		u := units[slices.IndexFunc(units, func(u migrations.Unit) bool { return u.ID == "sync.users" })]
		sql := strings.Join(append(u.Statements, u.Undo...), "\n")
		if got := strings.Contains(sql, "OR REPLACE TRIGGER"); got != test.replace || u.Lock != test.lock {
			t.Errorf("%+v: lock %s, SQL\n%s", test, u.Lock, sql)
		}
	}
}
