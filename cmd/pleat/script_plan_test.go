package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"pleat/executor/lease"
	"pleat/planner"
	"pleat/spec"
)

// retimeCommand makes a saved plan as if it had been made at that time, for a
// day:
//
//	retime FILE TIME
func retimeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: retime FILE TIME")
	}
	at, err := time.Parse(time.RFC3339, args[1])
	ts.Check(err)
	plan, err := planner.Decode([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	plan.Made, plan.Expires = at, at.Add(planner.DefaultTTL)
	b, err := plan.Encode()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// fingerprintCommand sets $FINGERPRINT to that of a saved plan:
//
//	fingerprint FILE
func fingerprintCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fingerprint FILE")
	}
	plan, err := planner.Decode([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Setenv("FINGERPRINT", plan.Fingerprint)
}

// holderCommand sets $HOLDER to the ID of who holds the lease:
//
//	holder
func holderCommand(ts *testscript.TestScript, neg bool, args []string) {
	held, err := lease.Show(context.Background(), spec.Plain(sceneOf(ts).url), environment)
	ts.Check(err)
	if neg || held == nil {
		ts.Fatalf("nobody holds the lease")
	}
	ts.Setenv("HOLDER", held.ID)
}

// foreignCommand makes the plan of the open run one of another pleat, in a
// format that this one does not know, and sets $RUN to its ID:
//
//	foreign
func foreignCommand(ts *testscript.TestScript, neg bool, _ []string) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, sceneOf(ts).url)
	ts.Check(err)
	defer c.Close(ctx)
	var run string
	var plan []byte
	err = c.QueryRow(ctx, "select id, plan from pleat.run where finished is null").Scan(&run, &plan)
	if neg || err != nil {
		ts.Fatalf("the open run: %v", err)
	}
	plan = regexp.MustCompile(`"pleat_plan": 1,`).ReplaceAll(plan, []byte(`"pleat_plan": 2,`))
	plan = regexp.MustCompile(`"made_by": "[^"]*"`).ReplaceAll(plan, []byte(`"made_by": "pleat 9.0.0"`))
	sum := regexp.MustCompile(`sha256:[0-9a-f]+"\n}\n$`)
	digest := sha256.Sum256(sum.ReplaceAll(plan, []byte("\"\n}\n")))
	plan = sum.ReplaceAll(plan, fmt.Appendf(nil, "sha256:%x\"\n}\n", digest))
	_, err = c.Exec(ctx, "update pleat.run set plan = $2 where id = $1", run, plan)
	ts.Check(err)
	ts.Setenv("RUN", run)
}
