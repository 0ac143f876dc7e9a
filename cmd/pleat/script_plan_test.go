package main

import (
	"context"
	"os"
	"time"

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
