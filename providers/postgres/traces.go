package postgres

import (
	"context"
	"fmt"
	"slices"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/migrations/hazard"
	"pleat/planner"
	"pleat/spec"
)

// traces are what is there of the file at which somebody left a directory
// dirty; nothing where that cannot be told.
func traces(ctx context.Context, tx conn.Tx, t spec.Table, live planner.Version, files []spec.Migration) ([]planner.Trace, error) {
	i := slices.IndexFunc(files, func(f spec.Migration) bool { return f.Version == live.Version })
	if !live.Dirty || live.Halfway != nil || i < 0 {
		return nil, nil
	}
	pieces, err := migrations.Pieces(files[i].Up)
	if err != nil {
		return nil, nil // the plan says that it cannot be read
	}
	var all []planner.Trace
	for _, p := range pieces {
		for _, s := range p.Statements {
			found, err := find(ctx, tx, t, s.Effect)
			if err != nil {
				return nil, fmt.Errorf("looking for what %s made: %w", files[i].File, err)
			}
			all = append(all, planner.Trace{Number: s.Number, SQL: firstLine(s.Text), Found: found})
		}
	}
	return all, nil
}

// find asks the catalog for a statement's effect.
func find(ctx context.Context, tx conn.Tx, t spec.Table, e hazard.Effect) (planner.Found, error) {
	const column = `select from pg_catalog.pg_attribute where attrelid = %s and attname = (pg_catalog.parse_ident($2))[1] and not attisdropped`
	questions := map[hazard.EffectKind]string{
		hazard.MakesTable:  resolved("$2", "$1") + " is not null",
		hazard.TakesTable:  resolved("$2", "$1") + " is null",
		hazard.MakesIndex:  resolved("$2", "$1") + " is not null",
		hazard.TakesIndex:  resolved("$2", "$1") + " is null",
		hazard.MakesType:   "coalesce(pg_catalog.to_regtype($2), pg_catalog.to_regtype($1 || '.' || $2), pg_catalog.to_regtype('public.' || $2)) is not null",
		hazard.MakesColumn: "exists (" + fmt.Sprintf(column, resolved("$3", "$1")) + ")",
		hazard.TakesColumn: "not exists (" + fmt.Sprintf(column, resolved("$3", "$1")) + ")",
		hazard.MakesConstraint: "exists (select from pg_catalog.pg_constraint where conrelid = " + resolved("$3", "$1") +
			" and conname = (pg_catalog.parse_ident($2))[1])",
	}
	question := questions[e.Kind]
	if question == "" || e.Name == "" {
		return "", nil
	}
	var there, invalid bool
	err := tx.QueryRow(ctx, "select "+question+`,
		exists (select from pg_catalog.pg_index where indexrelid = `+resolved("$2", "$1")+` and not indisvalid), $3::text is null`,
		migrations.Ident(t.Schema), e.Name, e.Table).Scan(&there, &invalid, nil)
	switch {
	case err != nil:
		return "", err
	case there && invalid && e.Kind == hazard.MakesIndex:
		return planner.Invalid, nil
	case there:
		return planner.There, nil
	}
	return planner.NotThere, nil
}
