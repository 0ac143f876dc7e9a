package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
)

// Code tells the kind of an agent's refusal.
type Code string

// The kinds of refusal.
const (
	CodeInvalid      Code = "invalid"      // the request makes no sense
	CodeUnauthorized Code = "unauthorized" // no token, or a wrong one
	CodeUnknown      Code = "unknown"      // what it is about does not exist
	CodeConflict     Code = "conflict"     // what is there is something else
	CodeFloor        Code = "floor"        // too few backends would be left
	CodeDigest       Code = "digest"       // an artifact is not what its name says
	CodeFenced       Code = "fenced"       // a former holder of the lease asks
	CodeOvertaken    Code = "overtaken"    // the holder has made a later call, which arrived first
	CodeGone         Code = "gone"         // events that are asked for were dropped
	CodeMoved        Code = "moved"        // another process takes over: ask again
	CodeInternal     Code = "internal"     // the agent could not do it
)

var statuses = map[Code]int{
	CodeInvalid:      http.StatusBadRequest,
	CodeUnauthorized: http.StatusUnauthorized,
	CodeUnknown:      http.StatusNotFound,
	CodeConflict:     http.StatusConflict,
	CodeFloor:        http.StatusConflict,
	CodeDigest:       http.StatusUnprocessableEntity,
	CodeFenced:       http.StatusPreconditionFailed,
	CodeOvertaken:    http.StatusPreconditionRequired,
	CodeGone:         http.StatusGone,
	CodeMoved:        http.StatusServiceUnavailable,
	CodeInternal:     http.StatusInternalServerError,
}

// Error is an agent's refusal.
type Error struct {
	Code    Code        `json:"code"`
	Message string      `json:"message"`
	Floor   *FloorError `json:"floor,omitempty"` // with CodeFloor
}

// Errorf makes a refusal.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Status is the HTTP status that carries the refusal.
func (e *Error) Status() int {
	if s, ok := statuses[e.Code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Unwrap is the typed error where there is one.
func (e *Error) Unwrap() error {
	if e.Floor == nil {
		return nil
	}
	return e.Floor
}

// FloorError is a drain that would leave too few backends.
type FloorError struct {
	Listen  string `json:"listen"`
	Serving int    `json:"serving"` // others that are healthy and not draining
	Floor   int    `json:"floor"`
}

// Error names the route and both numbers.
func (e *FloorError) Error() string {
	return fmt.Sprintf("%s would be left with %d serving backends; the floor is %d", e.Listen, e.Serving, e.Floor)
}

// UnreachableError is an agent that does not answer.
type UnreachableError struct {
	Agent string // as the spec has it
	Err   error
	// Sent tells that the request was written: it may have had its effect.
	Sent bool
}

// Error names the agent, the reason and what to do.
func (e *UnreachableError) Error() string {
	if wrong := e.untrusted(); wrong != nil {
		return fmt.Sprintf("agent %s is not trusted: %v; %s", e.Agent, wrong.Err, e.Hint())
	}
	return fmt.Sprintf("agent %s does not answer: %v; %s", e.Agent, e.Err, e.Hint())
}

// Hint is what to do about it.
func (e *UnreachableError) Hint() string {
	if e.untrusted() != nil {
		return "its certificate has to be for that host, and signed by the ca of its orchestrator or one that this system knows"
	}
	return "start it with: pleat agent --listen " + e.Agent
}

// untrusted is what is wrong with the certificate of an agent that is there.
func (e *UnreachableError) untrusted() *tls.CertificateVerificationError {
	var wrong *tls.CertificateVerificationError
	errors.As(e.Err, &wrong)
	return wrong
}

// Unwrap is the reason.
func (e *UnreachableError) Unwrap() error { return e.Err }
