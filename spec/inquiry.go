package spec

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// InquiryKind is who answers.
type InquiryKind string

// The kinds of inquiry.
const (
	InquiryHTTP       InquiryKind = "http"
	InquiryPrometheus InquiryKind = "prometheus"
	InquirySQL        InquiryKind = "sql"
	InquiryCommand    InquiryKind = "command"
	InquiryFile       InquiryKind = "file" // of gates only
)

// Inquiry is a question to something outside of pleat.
type Inquiry struct {
	Kind     InquiryKind     `json:"kind"`
	URL      Text            `json:"url"`               // http, prometheus
	Headers  map[string]Text `json:"headers,omitempty"` // http, prometheus
	Query    string          `json:"query,omitempty"`   // prometheus
	Samples  string          `json:"samples,omitempty"` // prometheus: a query for how many there are
	Database string          `json:"database,omitempty"`
	SQL      string          `json:"sql,omitempty"`
	Command  []string        `json:"command,omitempty"`
	Path     string          `json:"path,omitempty"` // file; relative to Dir
	Timeout  time.Duration   `json:"timeout_ns,omitempty"`
	Range    hcl.Range       `json:"-"`
}

// Gate is a condition that is asked before a run, and again right before a step.
type Gate struct {
	Name    string
	Inquiry *Inquiry
	Expect  string // expression over the answer; "": any answer will do
	Range   hcl.Range
}

// Address is "gate.NAME".
func (g *Gate) Address() Address { return Address("gate." + g.Name) }

// Analysis is a question that is asked several times while a release is tried.
type Analysis struct {
	Name         string
	Inquiry      *Inquiry
	Pass, Fail   string // expressions over one answer; one of them at least
	Count        int
	Interval     time.Duration
	Failures     int // tolerated
	Inconclusive int // tolerated
	MinSamples   int // that a measurement rests on; with fewer it says nothing
	DryRun       bool
	Range        hcl.Range
}

// Address is "analysis.NAME".
func (a *Analysis) Address() Address { return Address("analysis." + a.Name) }
