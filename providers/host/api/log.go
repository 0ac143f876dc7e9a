package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// LogQuery says which output of instances is asked for.
type LogQuery struct {
	Service, Process, Instance string    // Instance is "PROCESS.N"; "" = any
	Since                      time.Time // what was written after that
	Tail                       int       // the last lines of all together; below 0: all that is kept
	Follow                     bool      // go on with what is written from then on
}

// LogLine is a line that an instance wrote. At is when it was there at the
// latest: lines that were written within one look of the agent have one time,
// and their order.
type LogLine struct {
	At time.Time `json:"at,omitzero"`
	Ref
	Host string `json:"host,omitempty"`
	Line string `json:"line"`
	// Live is no line: what comes after it is written while it is read.
	Live bool `json:"live,omitempty"`
}

func (q LogQuery) values() url.Values {
	v := url.Values{
		"service": {q.Service}, "process": {q.Process}, "instance": {q.Instance},
		"tail": {strconv.Itoa(q.Tail)}, "follow": {strconv.FormatBool(q.Follow)},
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	return v
}

// LogQueryOf reads what Logs sent.
func LogQueryOf(r *http.Request) (LogQuery, error) {
	q := LogQuery{Service: r.FormValue("service"), Process: r.FormValue("process"), Instance: r.FormValue("instance"), Follow: r.FormValue("follow") == "true"}
	var err error
	if q.Tail, err = strconv.Atoi(r.FormValue("tail")); err != nil {
		return q, Errorf(CodeInvalid, "tail %q: want a number", r.FormValue("tail"))
	}
	if since := r.FormValue("since"); since != "" {
		if q.Since, err = time.Parse(time.RFC3339Nano, since); err != nil {
			return q, Errorf(CodeInvalid, "since %q: want a time", since)
		}
	}
	return q, nil
}

// Logs calls f with each line that the agent's instances wrote, in order of
// time, also of those that are gone. With Follow it goes on until f or the
// connection fails or ctx ends.
func (c *Client) Logs(ctx context.Context, q LogQuery, f func(LogLine) error) error {
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(c.answer, cancel)
	resp, err := c.sendUntilMoved(bounded, http.MethodGet, "/v1/logs?"+q.values().Encode(), nil)
	if err == nil {
		defer resp.Body.Close()
	}
	if !late.Stop() && ctx.Err() == nil {
		return c.silent(true)
	}
	if err != nil {
		return err
	}
	lines := bufio.NewReader(resp.Body)
	for {
		b, err := lines.ReadBytes('\n')
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == io.EOF && len(b) == 0 && !q.Follow {
			return nil
		}
		if err != nil {
			return &UnreachableError{Agent: c.agent, Err: reason(noEOF(err)), Sent: true}
		}
		var l LogLine
		if err := json.Unmarshal(b, &l); err != nil {
			return fmt.Errorf("reading a line of agent %s: %w", c.agent, err)
		}
		if err := f(l); err != nil {
			return err
		}
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
