package main

import (
	"errors"

	"github.com/spf13/cobra"

	"pleat/executor/lease"
)

func newUnlockCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "unlock ID", Short: "Free the lease of a run that is gone", Args: cobra.ExactArgs(1),
		Long: "Frees the lease whose holder has that ID, which `pleat status` and a refused\napply show. A holder that lives after all can write nothing any more. A lease\nends by itself 30 s after its holder died." +
			exitHelp("0 freed", "1 nobody holds it, or another ID does"),
		RunE: func(c *cobra.Command, args []string) error {
			sp, err := a.load()
			if err != nil {
				return err
			}
			if sp.State == nil {
				return errors.New("the spec has no database, so there is no lease")
			}
			if err := lease.Unlock(c.Context(), sp.State.URL, environment, args[0]); err != nil {
				return err
			}
			a.talk("The lease is free.")
			return nil
		},
	}
}
