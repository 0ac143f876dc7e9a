package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"pleat/executor"
	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/spec"
)

func newMigrationsCommand(a *app) *cobra.Command {
	c := &cobra.Command{Use: "migrations", Short: "Put right what is recorded of a golang-migrate directory"}
	c.AddCommand(newForceCommand(a))
	return c
}

func newForceCommand(a *app) *cobra.Command {
	through, reason := -1, ""
	c := &cobra.Command{
		Use: "force NAME VERSION", Short: "Record the version of a directory, and run nothing", Args: cobra.ExactArgs(2),
		Long: "Records that migrations.NAME is at VERSION (0: at none) and not dirty, and that\nthe files up to there are there as they are now: for a migration that was left\nhalf done and put right by hand, a file that was changed after it ran, and one\nthat came too late to be run.\n\nWith --through N it records that of the file of VERSION the first N statements\nare there; the next apply goes on with the one after them.\n\nWho said it, what was recorded before and since, and the --reason are an event,\nwhich `pleat events` shows." +
			exitHelp("0 recorded", "1 there is no such directory, version or statement", "4 a person must look", "7 another apply holds the lease"),
		RunE: func(c *cobra.Command, args []string) error {
			sp, err := a.load()
			if err != nil {
				return err
			}
			d, f, err := forced(sp, args[0], args[1], through)
			if err != nil {
				return err
			}
			return a.force(c.Context(), sp, d, f, reason)
		},
	}
	c.Flags().IntVar(&through, "through", -1, "the first `N` statements of the file are there, the others are not")
	c.Flags().StringVar(&reason, "reason", "", "`why`, for those who read the events")
	return c
}

// forced is what the arguments say is there.
func forced(sp *spec.Spec, name, number string, through int) (*spec.Migrations, postgres.Force, error) {
	i := slices.IndexFunc(sp.Migrations, func(d *spec.Migrations) bool { return d.Name == name })
	if i < 0 {
		return nil, postgres.Force{}, fmt.Errorf("the spec has no migrations %q", name)
	}
	d := sp.Migrations[i]
	version, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return nil, postgres.Force{}, &usageError{fmt.Errorf("%q is no version", number)}
	}
	known := slices.IndexFunc(d.Files, func(f spec.Migration) bool { return f.Version == version })
	if version != 0 && known < 0 {
		return nil, postgres.Force{}, fmt.Errorf("%s has no version %d", d.Source, version)
	}
	f := postgres.Force{Table: d.Table, Version: planner.Version{Version: version}}
	if through >= 0 {
		if f.Version.Halfway, err = halfway(d, known, through); err != nil {
			return nil, postgres.Force{}, err
		}
		f.Version.Dirty = true
	}
	for _, file := range d.Files {
		if file.Version < version || file.Version == version && through < 0 {
			f.Applied = append(f.Applied, planner.AppliedOf(file))
		}
	}
	return d, f, nil
}

// halfway is a file of the directory of which the first statements are there.
func halfway(d *spec.Migrations, file, through int) (*planner.Halfway, error) {
	if file < 0 {
		return nil, &usageError{errors.New("--through is about the statements of a version's file, and version 0 has none")}
	}
	f := d.Files[file]
	pieces, err := migrations.Pieces(f.Up)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.File, err)
	}
	h := &planner.Halfway{To: f.Version, Statements: through, Through: migrations.Through(pieces, through)}
	if n := migrations.Statements(pieces); through > n {
		return nil, fmt.Errorf("%s has %s, not %d", f.File, count(n, "statement"), through)
	}
	if _, err := migrations.Rest(pieces, through, h.Through); err != nil {
		return nil, fmt.Errorf("%s: %w", f.File, err)
	}
	if file > 0 {
		h.From = d.Files[file-1].Version
	}
	return h, nil
}

func (a *app) force(ctx context.Context, sp *spec.Spec, d *spec.Migrations, f postgres.Force, reason string) error {
	outliveReaders()
	anyway := func(*planner.State) error { return nil }
	return a.underLease(ctx, sp, anyway, func(ctx context.Context, r *runner) error {
		before, err := r.world.databases[d.Database.Name].Force(ctx, r.ticket, f)
		if err != nil {
			return err
		}
		said := executor.Forced{
			Directory: d.Address(), Database: d.Database.Name, From: versionText(before), To: versionText(f.Version),
			Who: r.holder.Who, Host: r.holder.Host, Reason: reason,
		}
		if err := executor.Note(ctx, r.journal, r.ticket, said); err != nil {
			return fmt.Errorf("%s was %s and is recorded as %s, but no event tells of it: %w", d.Address(), said.From, said.To, err)
		}
		a.talk("%s was %s, and is recorded as %s.", d.Address(), versionText(before), versionText(f.Version))
		return nil
	})
}

func versionText(v planner.Version) string {
	text := fmt.Sprint(v.Version)
	if v.Version == 0 {
		text = "none"
	}
	switch {
	case v.Halfway != nil:
		text += fmt.Sprintf(", after %s", count(v.Halfway.Statements, "statement"))
	case v.Dirty:
		text += " dirty"
	}
	return text
}
