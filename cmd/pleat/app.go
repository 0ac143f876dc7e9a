package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// app is what all verbs share: the streams, the environment and the global
// flags.
type app struct {
	streams
	environ  []string
	dir      string
	vars     []string
	varFiles []string
	noColor  bool
	json     bool
	sources  map[string][]byte
	redact   func(string) string // blanks the spec's secrets
}

func newApp(s streams, environ []string) *app {
	return &app{streams: s, environ: environ, redact: func(text string) string { return text }}
}

const longHelp = `pleat deploys releases and the Postgres schema changes they need, as one
reviewed plan: pleat plan shows it, pleat apply carries it out.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "pleat", Short: "Releases and schema changes as one reviewed plan", Long: longHelp,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpWidth)))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.StringVarP(&a.dir, "dir", "C", ".", "directory with the *"+spec.Suffix+" files")
	f.StringArrayVar(&a.vars, "var", nil, "set a variable: NAME=VALUE (repeatable)")
	f.StringArrayVar(&a.varFiles, "var-file", nil, "read variables from a file (repeatable)")
	f.BoolVar(&a.noColor, "no-color", false, "no colours, also on a terminal")
	root.AddCommand(
		newValidateCommand(a), newFmtCommand(a), newPlanCommand(a), newApplyCommand(a), newStatusCommand(a),
		newRollbackCommand(a), newScaleCommand(a), newApproveCommand(a), newAbortCommand(a), newUnhideCommand(a), newBackfillCommand(a), newMigrationsCommand(a), newEventsCommand(a), newLogsCommand(a), newShowCommand(a), newUnlockCommand(a),
		newLintCommand(a), newExplainCommand(a), newAgentCommand(a), newVersionCommand(a),
	)
	sayUsage(root.Commands())
	return root
}

// sayUsage has verbs that get other arguments than they take say how they are called.
func sayUsage(verbs []*cobra.Command) {
	for _, c := range verbs {
		sayUsage(c.Commands())
		if fits := c.Args; fits != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if fits(c, args) == nil {
					return nil
				}
				return &usageError{fmt.Errorf("other arguments than it takes; usage: %s", c.UseLine())}
			}
		}
	}
}

// doubleDashes accepts -long for --long, as other HCL tools do.
func doubleDashes(root *cobra.Command, args []string) []string {
	known := map[string]bool{"help": true}
	for _, c := range append(root.Commands(), root) {
		for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		}
	}
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = arg
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && len(name) > 1 && known[name] {
			out[i] = "-" + arg
		}
	}
	return out
}

// load reads the spec; its problems are an error that carries them all.
func (a *app) load() (*spec.Spec, error) {
	vars := map[string]string{}
	for _, v := range a.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return nil, &usageError{fmt.Errorf("--var %s: write it as NAME=VALUE", name)}
		}
		vars[name] = value
	}
	sp, diags := spec.Load(a.dir, spec.Options{Vars: vars, VarFiles: a.varFiles, Environ: a.environ})
	if sp != nil {
		a.sources, a.redact = sp.Sources, sp.Redact
	}
	if !diags.HasErrors() {
		diags = append(diags, unverified(sp)...)
	}
	if diags.HasErrors() {
		return nil, &diagnosticsError{diags}
	}
	a.warn(diags)
	return sp, nil
}

// unverified refuses databases on other hosts that may be spoken to without knowing
// which server it is, unless the spec says so aloud: a password that was sent is known.
func unverified(sp *spec.Spec) (diags hcl.Diagnostics) {
	for _, s := range stores(sp) {
		if host := conn.Unverified(s.url); host != "" && !s.insecure {
			diags = append(diags, &hcl.Diagnostic{
				Severity: hcl.DiagError, Summary: "Unverified connection", Subject: s.at.Ptr(),
				Detail: planner.UnverifiedHost(host) + ". Where that is meant: insecure = true.",
			})
		}
	}
	return diags
}

// store is a place in the spec that has a database's url.
type store struct {
	name     string
	url      spec.Text
	insecure bool
	at       hcl.Range
}

// stores are the databases, and the state where it has a block of its own.
func stores(sp *spec.Spec) []store {
	var all []store
	for _, d := range sp.Databases {
		all = append(all, store{string(d.Address()), d.URL, d.Insecure, d.Range})
	}
	if s := sp.State; s != nil && !slices.ContainsFunc(all, func(d store) bool { return d.at == s.Range }) {
		all = append(all, store{"state", s.URL, s.Insecure, s.Range})
	}
	return all
}

// getenv looks a variable up in the environment that run was given.
func (a *app) getenv(name string) string {
	for _, e := range a.environ {
		if k, v, _ := strings.Cut(e, "="); k == name {
			return v
		}
	}
	return ""
}

// terminal tells whether a stream is one.
func terminal(stream any) (fd int, ok bool) {
	f, isFile := stream.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

func (a *app) color(w io.Writer) bool {
	_, tty := terminal(w)
	return tty && !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

// width is that of the terminal, or 80.
func (a *app) width(w io.Writer) int {
	if fd, ok := terminal(w); ok {
		if width, _, err := term.GetSize(fd); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// interactive tells whether a question can be asked.
func (a *app) interactive() bool {
	_, ok := terminal(a.in)
	return ok && a.getenv("CI") == ""
}

// talk says a line, which may have in it what others said.
func (a *app) talk(format string, args ...any) {
	fmt.Fprintln(a.err, safe(fmt.Sprintf(format, args...)))
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// clock is what now reads. Tests set it.
var clock = time.Now

// now is the clock of every verb.
func now() time.Time { return clock().UTC() }
