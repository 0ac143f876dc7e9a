package fleet

import (
	"context"

	"pleat/planner"
	"pleat/providers/host/api"
)

// By makes every call with the context one of the ticket's holder. A ticket of
// no lease changes nothing.
func By(ctx context.Context, t planner.Ticket) context.Context {
	if t.Authority == "" {
		return ctx
	}
	return api.WithFence(ctx, api.Fence{Lease: t.Authority, Number: t.Fence})
}
