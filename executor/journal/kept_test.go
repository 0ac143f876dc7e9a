package journal_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

func TestReadTellsWhichReleasesAreKept(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	tests := []struct {
		name    string
		entries string // (run, step, status, minute)
		want    []planner.Kept
	}{
		{"drained", `('r1', 'service.users/1.0/start/web.1', 'done', 1), ('r1', 'service.users/1.0/drain/web.1', 'done', 2), ('r1', 'service.users/1.0/drain/web.2', 'done', 3)`,
			[]planner.Kept{{Service: "users", Version: "1.0", Since: at(3)}}},
		{"by a run before, settled", `('r0', 'service.users/feature/x/attach/web.1', 'done', 1), ('r0', 'service.users/feature/x/drain/web.1', 'settled', 2), ('r1', 'service.users/2.0/attach/web.1', 'done', 3)`,
			[]planner.Kept{{Service: "users", Version: "feature/x", Since: at(2)}}},
		{"attached again", `('r0', 'service.users/1.0/drain/web.1', 'done', 1), ('r1', 'service.users/1.0/attach/web.1', 'settled', 2)`, nil},
		{"started again", `('r0', 'service.users/1.0/drain/web.1', 'done', 1), ('r1', 'service.users/1.0/start/web.1', 'done', 2)`, nil},
		{"taken back", `('r0', 'service.users/1.0/drain/web.1', 'done', 1), ('r0', 'service.users/1.0/drain/web.1', 'undone', 2)`, nil},
		{"not done", `('r1', 'service.users/1.0/drain/web.1', 'started', 1), ('r1', 'service.users/1.0/drain/web.1', 'failed', 2)`, nil},
		{"of another environment", `('other', 'service.users/1.0/drain/web.1', 'done', 1)`, nil},
		{"something else", `('r1', 'change.x/drain/y', 'done', 1), ('r1', 'service.users/1.0/hold', 'done', 2)`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := begun(t)
			pgtest.Exec(t, w.url, `
				insert into pleat.run (id, environment, kind, status, fingerprint, wish, plan, who, host, finished)
				select id, environment, 'apply', 'complete', '', '', '{}', '', '', now()
				from (values ('r0', 'production'), ('other', 'staging')) as run (id, environment);
				insert into pleat.entry (run, step, status, fence, nonce, at)
				select run, step, status, 1, step || status || run, '2026-01-02 03:00:00+00'::timestamptz + minute * interval '1 minute'
				from (values `+test.entries+`) as entry (run, step, status, minute)`)
			read, err := w.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, read.Kept, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}
