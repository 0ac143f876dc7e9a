package inquiry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"pleat/providers/tail"
	"pleat/spec"
)

// largest is how much of an answer is read.
const largest = 1 << 20

// about is what a question is about.
type about struct{ service, release, old string }

// answer is what came of asking once.
type answer struct {
	values map[string]cty.Value // by the names that expressions use
	good   bool                 // without an expression
	text   string               // what it was, where it is not good
}

// answer asks once, within the inquiry's time. Without an answer it is an error,
// ErrNoData where there was one with nothing in it.
func (p *Provider) answer(ctx context.Context, q *spec.Inquiry, about about) (answer, error) {
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, q.Timeout, fmt.Errorf("no answer within %s", q.Timeout))
		defer cancel()
	}
	a, err := p.ask(ctx, q, about)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return a, context.Cause(ctx)
	}
	return a, err
}

func (p *Provider) ask(ctx context.Context, q *spec.Inquiry, about about) (answer, error) {
	switch q.Kind {
	case spec.InquiryHTTP:
		body, status, err := p.get(ctx, q, nil)
		if err != nil {
			return answer{}, err
		}
		a := read(body)
		a.values["status"] = cty.NumberIntVal(int64(status))
		return a, nil
	case spec.InquiryPrometheus:
		return p.prometheus(ctx, q, about)
	case spec.InquirySQL:
		return p.row(ctx, q)
	case spec.InquiryCommand:
		return p.run(ctx, q, about)
	case spec.InquiryFile:
		return p.file(q)
	}
	return answer{}, fmt.Errorf("%q is no way to ask", q.Kind)
}

// get gives the body of an answer that is one.
func (p *Provider) get(ctx context.Context, q *spec.Inquiry, query map[string]string) (body []byte, status int, err error) {
	address, err := p.reveal(q.URL)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, errors.New("the URL cannot be read")
	}
	if query != nil {
		values := req.URL.Query()
		for name, value := range query {
			values.Set(name, value)
		}
		req.URL.Path = strings.TrimSuffix(req.URL.Path, "/") + "/api/v1/query"
		req.URL.RawQuery = values.Encode()
	}
	for name, t := range q.Headers {
		value, err := p.reveal(t)
		if err != nil {
			return nil, 0, err
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, plain(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, largest))
	if err != nil {
		return nil, 0, plain(err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, 0, errors.New(strings.TrimSuffix(resp.Status+": "+p.complaint(body), ": "))
	}
	return body, resp.StatusCode, nil
}

// complaint is what the body of an error says: the error of a JSON object, or its
// first line.
func (p *Provider) complaint(body []byte) string {
	var told struct{ Error string }
	if json.Unmarshal(body, &told) == nil && told.Error != "" {
		return p.short(told.Error)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return p.clip(first)
}

// plain leaves the URL out: it may hold a secret, and who reads it knows it.
func plain(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("no answer in time")
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return err
}

func (p *Provider) reveal(t spec.Text) (string, error) {
	if !t.Sensitive() || t.Reveal() != "" {
		return t.Reveal(), nil
	}
	if p.options.Reveal != nil {
		if value, ok := p.options.Reveal(t.Ref()); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("the spec has no value for %s", t.Ref())
}

// read makes values of JSON: the fields of an object, and body for all of it.
// What is no JSON is a body of text.
func read(b []byte) answer {
	a := answer{values: map[string]cty.Value{}, good: true}
	t, err := ctyjson.ImpliedType(b)
	if err != nil {
		a.values["body"] = cty.StringVal(strings.TrimSpace(string(b)))
		return a
	}
	v, err := ctyjson.Unmarshal(b, t)
	if err != nil {
		a.values["body"] = cty.StringVal(strings.TrimSpace(string(b)))
		return a
	}
	a.values["body"] = v
	if t.IsObjectType() && !v.IsNull() {
		for name, field := range v.AsValueMap() {
			a.values[name] = field
		}
	}
	return a
}

func (p *Provider) file(q *spec.Inquiry) (answer, error) {
	root, err := os.OpenRoot(p.options.Dir)
	if err != nil {
		return answer{}, err
	}
	defer root.Close()
	f, err := root.Open(q.Path)
	if errors.Is(err, os.ErrNotExist) {
		return answer{}, fmt.Errorf("%s is not there", q.Path)
	}
	if err != nil {
		return answer{}, fmt.Errorf("%s cannot be read: %w", q.Path, plain(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, largest))
	if err != nil {
		return answer{}, fmt.Errorf("%s cannot be read: %w", q.Path, plain(err))
	}
	return read(b), nil
}

// passed is what a program sees of pleat's own environment.
var passed = []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"}

// run ends the program's whole process group when its time is over.
func (p *Provider) run(ctx context.Context, q *spec.Inquiry, about about) (answer, error) {
	cmd := exec.CommandContext(ctx, q.Command[0], q.Command[1:]...)
	cmd.Dir = p.options.Dir
	cmd.Env = []string{"PLEAT_SERVICE=" + about.service, "PLEAT_RELEASE=" + about.release, "PLEAT_OLD_RELEASE=" + about.old}
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	var out beginning
	var said, failed tail.Tail
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &said), &failed
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		return answer{}, err
	}
	a := read(out.text)
	code := cmd.ProcessState.ExitCode()
	a.values["exit"] = cty.NumberIntVal(int64(code))
	if n, err := strconv.ParseFloat(strings.TrimSpace(string(out.text)), 64); err == nil {
		a.values["value"] = cty.NumberFloatVal(n)
	}
	if code != 0 {
		a.good, a.text = false, strings.TrimSuffix(fmt.Sprintf("exit status %d: %s", code, p.short(last(said.Lines(), failed.Lines()))), ": ")
	}
	return a, nil
}

// beginning is as much of what is written to it as is read of an answer.
type beginning struct{ text []byte }

// Write keeps the beginning. It never fails.
func (w *beginning) Write(b []byte) (int, error) {
	w.text = append(w.text, b[:min(len(b), largest-len(w.text))]...)
	return len(b), nil
}

// last is the last line of the first text that has any.
func last(texts ...[]string) string {
	for _, lines := range texts {
		if len(lines) > 0 {
			return lines[len(lines)-1]
		}
	}
	return ""
}

// promAnswer is what Prometheus answers to an instant query.
type promAnswer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}
