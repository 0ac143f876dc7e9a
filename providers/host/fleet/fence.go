package fleet

import (
	"context"
	"fmt"

	"pleat/planner"
	"pleat/providers/host/api"
)

// By makes every call with the context one of the ticket's holder. A ticket of no
// lease is refused: what it changes could not be kept from a holder that has lost
// the lease.
func By(ctx context.Context, t planner.Ticket) (context.Context, error) {
	if t.Authority == "" {
		return nil, fmt.Errorf("run %s holds no lease, and changes nothing", t.Run)
	}
	return api.WithFence(ctx, api.Fence{Lease: t.Authority, Number: t.Fence}), nil
}
