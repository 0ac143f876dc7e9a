package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"

	"pleat/planner"
	"pleat/providers/host/api"
)

// Traced makes every call with the context reach the crash points between its
// request and the answer.
func Traced(ctx context.Context, at func(point string), points ...string) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		for _, point := range points {
			at(point)
		}
	}})
}

// Unsure marks the error of a call after which the effect may have happened as
// planner.ErrOutcomeUnknown; any other one, nil too, it gives back.
func Unsure(err error) error {
	var away *api.UnreachableError
	switch {
	case errors.As(err, &away) && away.Sent,
		errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", planner.ErrOutcomeUnknown, err)
	}
	return err
}
