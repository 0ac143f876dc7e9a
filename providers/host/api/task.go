package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Task asks an agent to run a program once, with a release's artifact and
// environment. Key is "RUN/STEP": a task of the same key is never run beside
// itself, and not again once it is done; one that failed is.
type Task struct {
	Ref        Ref           `json:"ref"`  // Instance: whose it is or, where it is for a whole run, the task's name
	Name       string        `json:"name"` // the task's
	Definition Definition    `json:"definition"`
	Beside     bool          `json:"beside,omitempty"` // it is for the instance of that name, which is up
	Timeout    time.Duration `json:"timeout_ns"`       // then it is killed
	Key        string        `json:"key"`
}

// TaskStatus is how it is with a task.
type TaskStatus string

// The statuses of a task.
const (
	TaskNone    TaskStatus = "none" // nobody knows one of that key
	TaskRunning TaskStatus = "running"
	TaskDone    TaskStatus = "done"
	TaskFailed  TaskStatus = "failed"
)

// TaskState is a task as its agent sees it, and a part of what it wrote.
type TaskState struct {
	Status TaskStatus `json:"status"`
	Error  string     `json:"error,omitempty"`
	Output string     `json:"output,omitempty"`
	Next   int64      `json:"next"` // where the output goes on
}

// RunTask starts a task, unless it runs already or is done. One of another key
// that does the same and still runs is a conflict (CodeConflict).
func (c *Client) RunTask(ctx context.Context, t Task) error {
	return c.quick(ctx, http.MethodPost, "/v1/tasks", t, nil)
}

// TaskState tells how it is with the task of that key, and gives what it wrote
// from an offset on, at most 64 KiB of it.
func (c *Client) TaskState(ctx context.Context, key string, from int64) (TaskState, error) {
	var out TaskState
	q := url.Values{"key": {key}, "from": {strconv.FormatInt(from, 10)}}
	return out, c.quick(ctx, http.MethodGet, "/v1/tasks?"+q.Encode(), nil, &out)
}

// EndTask kills the task of that key; one that is not running is done.
func (c *Client) EndTask(ctx context.Context, key string) error {
	return c.quick(ctx, http.MethodDelete, "/v1/tasks?"+url.Values{"key": {key}}.Encode(), nil, nil)
}
