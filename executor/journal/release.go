package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"pleat/migrations/conn"
	"pleat/planner"
)

// PutRelease records what a release declares. What was recorded of it before
// is replaced; whether it is on hold stays.
func (j *Journal) PutRelease(ctx context.Context, t planner.Ticket, r planner.Release) error {
	r.Held = ""
	definition, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the release %s %s: %w", r.Service, r.Version, err)
	}
	return j.write(ctx, t, change{
		what: fmt.Sprintf("recording the release %s %s", r.Service, r.Version),
		do: func(ctx context.Context, tx conn.Tx) error {
			_, err := tx.Exec(ctx, `
				insert into pleat.release (environment, service, version, definition) values ($1, $2, $3, $4)
				on conflict (environment, service, version)
				do update set definition = excluded.definition, recorded = clock_timestamp()`,
				j.environment, r.Service, r.Version, definition)
			return err
		},
		done: func(ctx context.Context, tx conn.Tx) (bool, error) {
			return exists(ctx, tx, `
				select from pleat.release
				where environment = $1 and service = $2 and version = $3 and definition::text = $4`,
				j.environment, r.Service, r.Version, string(definition))
		},
	})
}

// Hold keeps a recorded release from being rolled out, for that reason.
func (j *Journal) Hold(ctx context.Context, t planner.Ticket, service, version, reason string) error {
	return j.setHeld(ctx, t, service, version, reason)
}

// Lift takes a recorded release off hold.
func (j *Journal) Lift(ctx context.Context, t planner.Ticket, service, version string) error {
	return j.setHeld(ctx, t, service, version, "")
}

func (j *Journal) setHeld(ctx context.Context, t planner.Ticket, service, version, held string) error {
	return j.write(ctx, t, change{
		what: fmt.Sprintf("recording whether %s %s is on hold", service, version),
		do: func(ctx context.Context, tx conn.Tx) error {
			tag, err := tx.Exec(ctx, `
				update pleat.release set held = $4
				where environment = $1 and service = $2 and version = $3`, j.environment, service, version, held)
			if err == nil && tag.RowsAffected() == 0 {
				return fmt.Errorf("%s %s was never recorded", service, version)
			}
			return err
		},
		done: func(ctx context.Context, tx conn.Tx) (bool, error) {
			return exists(ctx, tx, `
				select from pleat.release
				where environment = $1 and service = $2 and version = $3 and held = $4`, j.environment, service, version, held)
		},
	})
}
