package conn

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// FencedError is a lease that somebody else has taken, or that was unlocked.
// Whoever gets it is no holder any more and must stop.
type FencedError struct {
	Name  string
	Fence int64
}

func (e *FencedError) Error() string {
	return fmt.Sprintf("the lease %q has moved on from fence %d: another holder took it, or it was unlocked", e.Name, e.Fence)
}

// HoldFence keeps the lease where it is until tx ends: it cannot be taken over
// or unlocked before, while its heartbeat goes on. It fails with a
// *FencedError when the lease has moved on already, after which tx must not
// commit. The lease is looked for in the database of tx.
func HoldFence(ctx context.Context, tx Tx, name string, fence int64) error {
	var one int
	err := tx.QueryRow(ctx, `
		select 1 from pleat.lease where name = $1 and fence = $2
		for key share`, name, fence).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return &FencedError{name, fence}
	}
	if err != nil {
		return fmt.Errorf("holding the lease %q: %w", name, err)
	}
	return nil
}

// RaiseFence makes a fence known in a database other than the one that has
// the lease, so that HoldFence works there and older holders are refused
// there. It fails with a *FencedError when a higher one is known. In the
// database that has the lease it changes nothing.
func RaiseFence(ctx context.Context, tx Tx, name string, fence int64) error {
	_, err := tx.Exec(ctx, `
		insert into pleat.lease as l (name, fence) values ($1, $2)
		on conflict (name) do update set fence = excluded.fence where l.fence < excluded.fence`, name, fence)
	if err != nil {
		return fmt.Errorf("raising the fence of %q: %w", name, err)
	}
	return HoldFence(ctx, tx, name, fence)
}
