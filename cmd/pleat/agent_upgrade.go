package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"pleat/providers/host/api"
)

func newAgentUpgradeCommand(a *app) *cobra.Command {
	var program string
	c := &cobra.Command{
		Use: "upgrade", Short: "Replace the agents of the spec by another version of themselves", Args: cobra.NoArgs,
		Long: "Sends a pleat to each agent that the spec names, one after the other, and has it\ntake over: processes keep running, and requests that an agent routes are neither\nrefused nor cut. Where it does not come to answer, the agent stays as it is, and\nso do those after it. What the host starts at its next boot is not changed." +
			exitHelp("0 all run it", "1 one does not; it and those after it are as they were"),
		RunE: func(c *cobra.Command, _ []string) error { return a.upgradeAgents(c.Context(), program) },
	}
	c.Flags().StringVar(&program, "program", "", "the pleat to run, a `file` (default: this one)")
	return c
}

func (a *app) upgradeAgents(ctx context.Context, program string) error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return fmt.Errorf("finding this program: %w", err)
		}
	}
	digest, err := digestOf(program)
	if err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	for _, o := range withAgents(sp.Orchestrators) {
		err := w.hosts[o.Address()].Upgrade(ctx, digest, func() (io.ReadCloser, error) { return os.Open(program) }, a.upgraded)
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) upgraded(host string, u api.Upgraded) {
	if u.From == u.To {
		a.talk("%s: runs it already (pid %d)", host, u.To)
		return
	}
	a.talk("%s: pid %d took over from %d", host, u.To, u.From)
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}
