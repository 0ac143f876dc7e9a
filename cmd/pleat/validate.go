package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newValidateCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "validate", Short: "Check the spec without looking at anything live", Args: cobra.NoArgs,
		Long: "Checks every *.pleat.hcl file of the directory and reports everything wrong at\nonce. Nothing live is asked." +
			exitHelp("0 the spec is valid", "1 it is not"),
		RunE: func(*cobra.Command, []string) error { return a.validate() },
	}
	c.Flags().BoolVar(&a.json, "json", false, "report as JSON")
	return c
}

func (a *app) validate() error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]bool{"valid": true})
	}
	_, err = fmt.Fprintf(a.out, "The spec is valid: %s, %s.\n", count(len(sp.Services), "service"), count(len(sp.Changes), "change"))
	return err
}
