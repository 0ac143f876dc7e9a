package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pleat/providers/host/agent"
)

// tokenVariable is where the agent's token may come from instead of a file.
const tokenVariable = "PLEAT_AGENT_TOKEN"

func newAgentCommand(a *app) *cobra.Command {
	var c agent.Config
	var tokenFile string
	cmd := &cobra.Command{
		Use: "agent", Short: "Keep the processes of this host running", Args: cobra.NoArgs,
		Long: "Keeps processes running and routes requests to them, as pleat apply tells it.\nProcesses outlive the agent, which takes them up again when it is started anew.\nThe unix socket is only its owner's; over TCP it wants TLS and a token." +
			exitHelp("0 asked to end", "1 error"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Successor = a.successor(cmd.Flags())
			return a.agent(cmd.Context(), c, tokenFile)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Listen, "listen", "unix:///run/pleat/agent.sock", "unix:///PATH or https://HOST:PORT")
	f.StringVar(&c.Dir, "state", "/var/lib/pleat", "directory for what the agent keeps")
	f.StringVar(&c.Name, "name", "", "the host's name in plans (default: its own)")
	f.StringVar(&c.Address, "address", "127.0.0.1", "address that processes listen on")
	f.StringVar(&c.AccessLog, "access-log", "", "`file` for a line about each request (default: none)")
	f.StringVar(&c.Cert, "cert", "", "certificate `file`, for https")
	f.StringVar(&c.Key, "key", "", "key `file`, for https")
	f.StringVar(&tokenFile, "token-file", "", "`file` with the token, for https (or "+tokenVariable+")")
	cmd.AddCommand(newAgentUpgradeCommand(a))
	return cmd
}

// successor is the command of another program with these flags.
func (a *app) successor(flags *pflag.FlagSet) func(program string) *exec.Cmd {
	args := []string{"agent"}
	flags.Visit(func(f *pflag.Flag) { args = append(args, "--"+f.Name+"="+f.Value.String()) })
	return func(program string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env, cmd.Stderr = slices.Clone(a.environ), a.err
		return cmd
	}
}

func (a *app) agent(ctx context.Context, c agent.Config, tokenFile string) error {
	token := a.getenv(tokenVariable)
	if tokenFile != "" {
		b, err := os.ReadFile(tokenFile)
		if err != nil {
			return fmt.Errorf("reading the token: %w", err)
		}
		if token = strings.TrimSpace(string(b)); token == "" {
			return fmt.Errorf("reading the token: %s is empty", tokenFile)
		}
	}
	c.Token = token
	c.Log = slog.New(slog.NewTextHandler(a.err, nil))
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return agent.Run(ctx, c)
}
