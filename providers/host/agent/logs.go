package agent

import (
	"context"
	"encoding/json"
	"net/http"

	"pleat/providers/host/api"
)

// logs writes a line for each that instances wrote, until all is told, the
// caller leaves, or the agent ends.
func (s *server) logs(w http.ResponseWriter, r *http.Request) {
	q, err := api.LogQueryOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, out := json.NewEncoder(w), http.NewResponseController(w)
	if err := out.Flush(); err != nil { // to read it all may take a while
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-s.moved: // the caller goes on with the successor
			cancel()
		}
	}()
	err = s.memory().supervisor.Logs(ctx, q, func(l api.LogLine) error { return enc.Encode(l) }, out.Flush)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("telling what instances wrote", "error", err)
		panic(http.ErrAbortHandler) // so that the caller does not take it for all
	}
}
