package journal_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

func TestReadTellsWhoseWordWasNotHeard(t *testing.T) {
	web1 := []planner.Unheard{{Service: "users", Version: "feature/x", Instance: "web.1", Run: "r1"}}
	tests := []struct {
		name    string
		entries string // (run, step, status), of runs r0, r1 and r2, in their order
		want    []planner.Unheard
	}{
		{"started", `('r1', 'service.users/feature/x/start/web.1', 'started')`, web1},
		{"waited for in vain", `('r1', 'service.users/feature/x/start/web.1', 'started'), ('r1', 'service.users/feature/x/start/web.1', 'done'), ('r1', 'service.users/feature/x/handover/web.1', 'started')`, web1},
		{"heard", `('r1', 'service.users/feature/x/start/web.1', 'started'), ('r1', 'service.users/feature/x/handover/web.1', 'done')`, nil},
		{"heard by another run", `('r1', 'service.users/feature/x/start/web.1', 'started'), ('r2', 'service.users/feature/x/handover/web.1', 'settled')`, nil},
		{"heard by an attempt before", `('r0', 'service.users/feature/x/start/web.1', 'started'), ('r0', 'service.users/feature/x/handover/web.1', 'done'), ('r1', 'service.users/feature/x/start/web.1', 'started')`, web1},
		{"started again where nobody waits for it", `('r1', 'service.users/feature/x/start/web.1', 'started'), ('r2', 'service.users/feature/x/start/web.1-2', 'started')`, nil},
		{"no word is waited for", `('r1', 'service.users/feature/x/start/web.2', 'started')`, nil},
		{"never started", `('r1', 'service.users/feature/x/start/web.1', 'deferred')`, nil},
		{"of another environment", `('other', 'service.users/feature/x/start/web.1', 'started')`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, pgtest.New(t).Database(t))
			pgtest.Exec(t, w.url, `
				insert into pleat.run (id, environment, kind, status, fingerprint, wish, plan, who, host, started, finished)
				select id, case id when 'other' then 'staging' else 'production' end, 'apply', 'abandoned', '', '',
				       case id when 'r2' then '{}' else '{"id": "service.users/feature/x/handover/web.1"}' end::json, '', '',
				       '2026-01-02 03:00:00+00'::timestamptz + n * interval '1 minute', now()
				from unnest(array['r0', 'r1', 'r2', 'other']) with ordinality as run (id, n);
				insert into pleat.entry (run, step, status, fence, nonce)
				select run, step, status, 1, step || status || run from (values `+test.entries+`) as entry (run, step, status)`)
			read, err := w.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, read.Unheard, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("unheard (-want +got):\n%s", diff)
			}
		})
	}
}
