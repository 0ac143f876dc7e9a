package agent

import (
	"encoding/json"
	"net/http"

	"pleat/providers/host/api"
)

// list answers with the events that are kept.
func (s *server) list(r *http.Request) (any, error) {
	since, err := number(r, "since")
	if err != nil {
		return nil, err
	}
	out := []api.Event{}
	key := r.FormValue("key")
	for _, e := range s.memory().events.Held() {
		if e.Seq > since && (key == "" || e.Key == key) {
			out = append(out, e)
		}
	}
	return out, nil
}

// follow writes a line for each event, until the caller leaves or the agent
// ends.
func (s *server) follow(w http.ResponseWriter, r *http.Request) {
	seq, err := number(r, "since")
	if err != nil {
		refuse(w, err)
		return
	}
	log := s.memory().events
	events, more, err := log.Since(seq)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	for {
		for _, e := range events {
			if err := enc.Encode(e); err != nil {
				return
			}
			seq = e.Seq
		}
		if err := flush.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.moved: // the caller goes on with the successor
			return
		case <-more:
		}
		// A caller that is so slow that events are gone is cut off, and told
		// so when it comes back.
		if events, more, err = log.Since(seq); err != nil {
			return
		}
	}
}
