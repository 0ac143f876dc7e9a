package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// boundsCommand prints how many instances there were at most, and how many were
// up at least, while what an event file tells happened. BEFORE of them were up
// before.
//
//	bounds BEFORE FILE
func boundsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bounds BEFORE FILE")
	}
	before, err := strconv.Atoi(args[0])
	ts.Check(err)
	there, up, most, least := before, before, before, before
	state := map[string]string{} // of those that the file tells of
	for _, line := range strings.Split(strings.TrimSpace(ts.ReadFile(args[1])), "\n") {
		var e struct{ Type, Release, Instance, State string }
		ts.Check(json.Unmarshal([]byte(line), &e))
		if e.Type != "instance" {
			continue
		}
		key := e.Release + " " + e.Instance
		was, known := state[key]
		if !known && e.State != "pending" {
			was = "up"
		}
		there += one(was == "" || was == "down", e.State == "pending") - one(e.State == "down")
		up += one(e.State == "up") - one(was == "up")
		most, least = max(most, there), min(least, up)
		state[key] = e.State
	}
	fmt.Fprintf(ts.Stdout(), "%d instances at most, %d up at least\n", most, least)
}

// one is 1 when all of it is so, else 0.
func one(all ...bool) int {
	for _, is := range all {
		if !is {
			return 0
		}
	}
	return 1
}

// streamCommand checks that the events of the files, one file after the other,
// are 1, 2, 3 and so on, and sets VAR to the last number.
//
//	stream VAR FILE ...
func streamCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: stream VAR FILE ...")
	}
	last := 0
	for _, name := range args[1:] {
		for _, line := range strings.Split(strings.TrimSpace(ts.ReadFile(name)), "\n") {
			var e struct{ Seq int }
			ts.Check(json.Unmarshal([]byte(line), &e))
			if e.Seq != last+1 {
				ts.Fatalf("%s: after event %d comes %d", name, last, e.Seq)
			}
			last = e.Seq
		}
	}
	ts.Setenv(args[0], strconv.Itoa(last))
}
