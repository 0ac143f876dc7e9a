package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pleat/spec"
)

func newFmtCommand(a *app) *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use: "fmt", Short: "Put the spec files into the usual form", Args: cobra.NoArgs,
		Long: "Rewrites every *.pleat.hcl file of the directory in the usual form and lists\nthose that it changed." +
			exitHelp("0 done", "1 a file cannot be read", "3 --check: files differ"),
		RunE: func(*cobra.Command, []string) error { return a.format(check) },
	}
	c.Flags().BoolVar(&check, "check", false, "change nothing; exit 3 when a file differs")
	return c
}

func (a *app) format(check bool) error {
	formatting, diags := spec.FormatDir(a.dir)
	a.sources = formatting.Sources
	differ := false
	for _, f := range formatting.Files {
		if !f.Changed() {
			continue
		}
		differ = true
		fmt.Fprintln(a.out, f.Name)
		if check {
			continue
		}
		if err := f.Write(a.dir); err != nil {
			return err
		}
	}
	if diags.HasErrors() {
		return &diagnosticsError{diags}
	}
	if check && differ {
		return &codeError{code: exitRolledBack}
	}
	return nil
}
