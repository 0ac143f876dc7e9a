// Command pleat deploys releases and the Postgres schema changes that they
// need, as one reviewed plan. One file a verb: flags, call, render. It is the
// only package that names concrete providers.
package main

import (
	"context"
	"io"
	"os"
)

func main() { os.Exit(Main()) }

// Main runs pleat on the process's own arguments and streams, and returns the
// exit code.
func Main() int {
	return run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Environ())
}

// streams are where a verb talks: out is data, err is talk.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is main without the process: nothing below it touches os.Std*.
func run(ctx context.Context, args []string, s streams, environ []string) int {
	a := newApp(s, environ)
	root := a.root()
	root.SetArgs(doubleDashes(root, args))
	err := root.ExecuteContext(ctx)
	return a.report(err)
}
