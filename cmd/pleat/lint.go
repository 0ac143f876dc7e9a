package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	migrate "github.com/golang-migrate/migrate/v4/source"
	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"pleat/migrations/hazard"
	"pleat/spec"
)

type lintOptions struct {
	format        string
	version       string
	rules         []string
	exclude       []string
	inTransaction bool
	strict        bool
}

func newLintCommand(a *app) *cobra.Command {
	var o lintOptions
	c := &cobra.Command{
		Use: "lint [FILE|DIR|- ...]", Short: "Say what SQL files do to those who work meanwhile",
		Long: `Reads .sql files with PostgreSQL's own grammar and reports hazards and advice,
each with a code that pleat explain knows. Without an argument it reads the
current directory, with - the standard input. In a directory of golang-migrate
files the up files are read in the order of their versions, each with what those
before it have made.

A file runs as one transaction, unless it has a statement that cannot be in one,
or BEGIN and COMMIT of its own. A comment before a statement allows what it has:
-- pleat:allow CODE reason` + "\n" +
			exitHelp("0 no hazard, or all were allowed", "1 a file cannot be read (what can be is reported), or a usage error", "2 there are hazards; with --strict, or advice"),
		RunE: func(_ *cobra.Command, args []string) error { return a.lint(args, o) },
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", "text", "`FORMAT` of the report: text, json or sarif (2.1.0)")
	f.StringVar(&o.version, "pg-version", "", "`VERSION` of the server, such as 15 or 14.3")
	f.StringSliceVar(&o.rules, "rules", nil, "look for these `CODES` only, optional ones included")
	f.StringSliceVar(&o.exclude, "exclude", nil, "do not look for these `CODES`")
	f.BoolVar(&o.inTransaction, "in-transaction", false, "whoever runs the files begins a transaction for each")
	f.BoolVar(&o.strict, "strict", false, "exit 2 for advice too")
	return c
}

// linted is one file with what its statements do.
type linted struct {
	File       string             `json:"file"`
	Statements []hazard.Statement `json:"statements"`
	source     []byte
}

// lintFinding is a finding with its place.
type lintFinding struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"` // in characters, from 1
	hazard.Finding
	at hcl.Range
}

func (a *app) lint(args []string, o lintOptions) error {
	options, err := o.options()
	if err != nil {
		return &usageError{err}
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	var files []linted
	var unread []error
	for _, arg := range args {
		more, err := a.lintArgument(arg, options)
		files, unread = append(files, more...), append(unread, err)
	}
	findings := o.findings(files)
	if err := errors.Join(append(unread, a.lintReport(o.format, files, findings))...); err != nil {
		return err
	}
	for _, f := range findings {
		if !f.Allowed && (o.strict || f.Severity == hazard.Risk) {
			return &codeError{code: exitChanges}
		}
	}
	return nil
}

func (o lintOptions) options() (hazard.Options, error) {
	for _, code := range slices.Concat(o.rules, o.exclude) {
		switch d, known := hazard.Explain(code); {
		case !known:
			return hazard.Options{}, unknownCode(code)
		case d.Found != hazard.InSQL:
			return hazard.Options{}, fmt.Errorf("%s is not found in SQL: pleat explain %s", code, code)
		}
	}
	if !slices.Contains([]string{"text", "json", "sarif"}, o.format) {
		return hazard.Options{}, fmt.Errorf("--format %s: it is text, json or sarif", o.format)
	}
	version, err := serverVersion(o.version)
	return hazard.Options{Version: version, InTransaction: o.inTransaction}, err
}

// serverVersion is "15" or "14.3" as server_version_num has it.
func serverVersion(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	major, minor, _ := strings.Cut(text, ".")
	m, err := strconv.Atoi(major)
	n, err2 := strconv.Atoi(cmp.Or(minor, "0"))
	if err != nil || err2 != nil || m < 10 || m > 99 || n < 0 || n > 99 {
		return 0, fmt.Errorf("--pg-version %s: write it as 15 or 14.3", text)
	}
	return m*10000 + n, nil
}

// lintArgument reads the standard input, a file or a directory.
func (a *app) lintArgument(arg string, o hazard.Options) ([]linted, error) {
	if arg != "-" {
		return lintPath(arg, o)
	}
	source, err := io.ReadAll(a.in)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return lintSource("<stdin>", source, hazard.NewReader(o))
}

// lintPath reads a file, or the .sql files below a directory. With an error it has
// what could be read.
func lintPath(path string, o hazard.Options) ([]linted, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return lintFile(path, hazard.NewReader(o))
	}
	var all []linted
	var unread []error
	err := filepath.WalkDir(path, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil { // lintDir says so
			return nil
		}
		if entry.IsDir() {
			files, err := lintDir(dir, o)
			all, unread = append(all, files...), append(unread, err)
		}
		return nil
	})
	return all, errors.Join(append(unread, err)...)
}

// lintDir reads the migrations of a directory one after the other, and its
// other .sql files each on its own.
func lintDir(dir string, o hazard.Options) ([]linted, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var ups []*migrate.Migration
	var all []linted
	var unread []error
	read := func(name string, reader *hazard.Reader) {
		files, err := lintFile(filepath.Join(dir, name), reader)
		all, unread = append(all, files...), append(unread, err)
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".sql") {
			continue
		}
		if m, err := migrate.DefaultParse(e.Name()); err == nil {
			if m.Direction == migrate.Up {
				ups = append(ups, m)
			}
			continue
		}
		read(e.Name(), hazard.NewReader(o))
	}
	slices.SortFunc(ups, func(x, y *migrate.Migration) int { return cmp.Compare(x.Version, y.Version) })
	reader := hazard.NewReader(o)
	for _, m := range ups {
		read(m.Raw, reader)
	}
	return all, errors.Join(unread...)
}

// lintFile has the one file, or none and why.
func lintFile(path string, reader *hazard.Reader) ([]linted, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return lintSource(path, source, reader)
}

func lintSource(path string, source []byte, reader *hazard.Reader) ([]linted, error) {
	statements, err := reader.Read(string(source))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return []linted{{File: filepath.ToSlash(path), Statements: statements, source: source}}, nil
}

// findings are those that are looked for, in the order of the files.
func (o lintOptions) findings(files []linted) []lintFinding {
	all := []lintFinding{}
	for _, f := range files {
		for _, s := range f.Statements {
			for _, found := range s.Findings {
				if o.wants(found.Code) {
					all = append(all, f.place(s, found))
				}
			}
		}
	}
	return all
}

func (o lintOptions) wants(code string) bool {
	doc, _ := hazard.Explain(code)
	named := slices.Contains(o.rules, code)
	return !slices.Contains(o.exclude, code) && (named || len(o.rules) == 0 && !doc.Optional)
}

func (f linted) place(s hazard.Statement, found hazard.Finding) lintFinding {
	at := hcl.Range{Filename: f.File, Start: f.pos(found.Start), End: f.pos(cmp.Or(found.End, s.End))}
	return lintFinding{File: f.File, Line: at.Start.Line, Column: at.Start.Column, Finding: found, at: at}
}

func (f linted) pos(at int) hcl.Pos {
	before := string(f.source[:at])
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return hcl.Pos{Line: 1 + strings.Count(before, "\n"), Column: 1 + len([]rune(line)), Byte: at}
}

func (a *app) lintReport(format string, files []linted, findings []lintFinding) error {
	switch format {
	case "json":
		return a.printJSON(map[string]any{"version": 1, "findings": findings, "files": files})
	case "sarif":
		return a.printJSON(sarif(findings))
	}
	return a.lintText(files, findings)
}

// lintText shows each finding under its line; a hazard is an error, advice a
// warning.
func (a *app) lintText(files []linted, findings []lintFinding) error {
	sources := map[string][]byte{}
	for _, f := range files {
		sources[f.File] = f.source
	}
	var diags hcl.Diagnostics
	hazards, advice, allowed := 0, 0, 0
	for _, f := range findings {
		severity := hcl.DiagWarning
		switch {
		case f.Allowed:
			allowed++
			continue
		case f.Severity == hazard.Risk:
			severity = hcl.DiagError
			hazards++
		default:
			advice++
		}
		doc, _ := hazard.Explain(f.Code)
		diags = append(diags, &hcl.Diagnostic{
			Severity: severity, Summary: f.Code + ": " + doc.Title, Detail: f.Text + "\n\nInstead: " + doc.Safe, Subject: &f.at,
		})
	}
	if err := spec.WriteDiagnostics(a.out, sources, diags, spec.RenderOptions{Width: a.width(a.out), Color: a.color(a.out)}); err != nil {
		return err
	}
	if len(diags) > 0 {
		fmt.Fprintln(a.out)
	}
	_, err := fmt.Fprintf(a.out, "%s: %s, %d advice, %d allowed.\n", counted(len(files), "file"), counted(hazards, "hazard"), advice, allowed)
	return err
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
