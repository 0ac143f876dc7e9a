package planner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// The kinds of action and guard as a saved plan names them.
var (
	actionTypes = map[string]Action{
		"transaction": &Transaction{}, "build_index": &BuildIndex{}, "remove_index": &RemoveIndex{}, "run_alone": &RunAlone{},
		"backfill": &Backfill{}, "verify": &Verify{}, "start": &Start{}, "stop": &Stop{},
		"attach": &Attach{}, "drain": &Drain{}, "weigh": &Weigh{}, "checkpoint": &Checkpoint{}, "migrate": &Migrate{}, "pause": &Pause{}, "approve": &Approve{}, "smoke": &Smoke{}, "handover": &Handover{}, "analyze": &Analyze{}, "task": &Task{}, "roles": &Roles{}, "hold_traffic": &HoldTraffic{}, "bound": &Bound{},
	}
	guardTypes = map[string]Guard{
		"no_instances": &NoInstances{}, "no_sessions": &NoSessions{}, "soak": &Soak{}, "quiet": &Quiet{}, "no_statements": &NoStatements{}, "hidden_for": &HiddenFor{}, "open": &Open{}, "within": &Within{},
	}
)

// planFile is the encoding of a plan. Field order is the order of the file.
type planFile struct {
	Pleat       int        `json:"pleat_plan"`
	Kind        string     `json:"kind"`
	Headline    string     `json:"headline"`
	Fingerprint string     `json:"fingerprint"`
	Wish        string     `json:"wish"`
	By          string     `json:"made_by,omitempty"`
	Made        time.Time  `json:"made"`
	Expires     time.Time  `json:"expires"`
	Target      []Target   `json:"target"`
	Steps       []stepFile `json:"steps"`
	Notes       []string   `json:"notes,omitempty"`
	Releases    []Release  `json:"releases,omitempty"`
	Recorded    []Release  `json:"recorded,omitempty"`
	Lifts       []Lift     `json:"lifts,omitempty"`
	Holds       []Hold     `json:"holds,omitempty"`
	Overrides   []Override `json:"overrides,omitempty"`
	Live        []Live     `json:"live,omitempty"`
	Scope       Scope      `json:"scope"`
	ReadSet     []Fact     `json:"read_set"`
	Sum         string     `json:"sum"` // SHA-256 of the file with an empty sum
}

type stepFile struct {
	ID        string              `json:"id"`
	Address   spec.Address        `json:"address"`
	Kind      Kind                `json:"kind"`
	Title     string              `json:"title"`
	Cause     string              `json:"cause"`
	Needs     []string            `json:"needs,omitempty"`
	Action    json.RawMessage     `json:"action"`
	Undo      *undoFile           `json:"undo,omitempty"`
	Safety    Safety              `json:"safety"`
	Guards    []json.RawMessage   `json:"guards,omitempty"`
	Limits    Limits              `json:"limits"`
	Lock      migrations.Lock     `json:"lock,omitempty"`
	Table     string              `json:"table,omitempty"`
	Hazards   []migrations.Hazard `json:"hazards,omitempty"`
	Does      []string            `json:"does,omitempty"`
	Drops     []string            `json:"drops,omitempty"`
	Waits     []string            `json:"waits_for,omitempty"`
	Source    string              `json:"source,omitempty"`
	Estimate  int64               `json:"estimate,omitempty"`
	Together  bool                `json:"together,omitempty"`
	Cleanup   bool                `json:"cleanup,omitempty"`
	Section   string              `json:"section,omitempty"`
	Deferred  string              `json:"deferred,omitempty"`
	UntilSpec bool                `json:"until_spec,omitempty"`
}

type undoFile struct {
	Title  string          `json:"title"`
	Loses  string          `json:"loses,omitempty"`
	Bars   bool            `json:"bars,omitempty"`
	Action json.RawMessage `json:"action,omitempty"`
}

// Encode gives the canonical bytes of a plan: the same plan has the same
// bytes. They hold no secret, only references.
func (p *Plan) Encode() ([]byte, error) {
	f := planFile{
		Pleat: Format, Kind: p.Kind, Headline: p.Headline, Fingerprint: p.Fingerprint, Wish: p.Wish, By: p.By, Made: p.Made.UTC(), Expires: p.Expires.UTC(),
		Target: p.Target, Notes: p.Notes, Releases: p.Releases, Recorded: p.Recorded, Lifts: p.Lifts, Holds: p.Holds, Overrides: p.Overrides, Live: p.Live, Scope: p.Scope, ReadSet: p.ReadSet,
	}
	for _, s := range p.Steps {
		e, err := encodeStep(s)
		if err != nil {
			return nil, err
		}
		f.Steps = append(f.Steps, e)
	}
	return f.seal()
}

// seal adds the sum.
func (f planFile) seal() ([]byte, error) {
	f.Sum = ""
	open, err := encodeIndented(f)
	if err != nil {
		return nil, err
	}
	f.Sum = digest(open)
	return encodeIndented(f)
}

// CorruptError says that bytes are no plan as Encode wrote it.
type CorruptError struct{ Reason string }

// Error is the reason.
func (e *CorruptError) Error() string { return "not a plan as pleat wrote it: " + e.Reason }

// ForeignError says that bytes are a plan as another pleat wrote it, which this
// one cannot read.
type ForeignError struct {
	By     string // the pleat that made it; "" = it does not say
	Reason string
}

// Error names that pleat, and the reason.
func (e *ForeignError) Error() string {
	by := e.By
	if by == "" {
		by = "another pleat"
	}
	return "the plan was made by " + by + ", and this pleat cannot read it: " + e.Reason
}

// Decode reads what Encode wrote. Bytes that differ anywhere from those are a
// *CorruptError, those of another pleat may be a *ForeignError.
func Decode(b []byte) (*Plan, error) {
	if !bytes.Contains(b, []byte(`"pleat_plan":`)) {
		return nil, &CorruptError{"it is another kind of file"}
	}
	if !intact(b) {
		return nil, &CorruptError{"its bytes were changed after it was saved"}
	}
	var head struct {
		Pleat int    `json:"pleat_plan"`
		By    string `json:"made_by"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, &CorruptError{err.Error()}
	}
	if head.Pleat != Format {
		return nil, &ForeignError{head.By, fmt.Sprintf("it has format %d, not %d", head.Pleat, Format)}
	}
	var f planFile
	if err := strict(b, &f); err != nil {
		return nil, &ForeignError{head.By, err.Error()}
	}
	p, err := f.plan()
	if err != nil {
		return nil, &ForeignError{head.By, err.Error()}
	}
	return p, nil
}

// How a sealed plan ends, before and after the sum.
const beforeSum, afterSum = "\n  \"sum\": \"", "\"\n}\n"

// intact tells whether the sum is that of the bytes. They are not encoded anew
// for it: another pleat may write the same plan in another way.
func intact(b []byte) bool {
	rest, ok := bytes.CutSuffix(b, []byte(afterSum))
	i := bytes.LastIndex(rest, []byte(beforeSum))
	if !ok || i < 0 {
		return false
	}
	i += len(beforeSum)
	return string(rest[i:]) == digest(append(bytes.Clone(rest[:i]), afterSum...))
}

func (f planFile) plan() (*Plan, error) {
	p := &Plan{
		Kind: f.Kind, Headline: f.Headline, Fingerprint: f.Fingerprint, Wish: f.Wish, By: f.By, Made: f.Made, Expires: f.Expires,
		Target: f.Target, Notes: f.Notes, Releases: f.Releases, Recorded: f.Recorded, Lifts: f.Lifts, Holds: f.Holds, Overrides: f.Overrides, Live: f.Live, Scope: f.Scope, ReadSet: f.ReadSet,
	}
	for _, e := range f.Steps {
		s, err := e.step()
		if err != nil {
			return nil, err
		}
		p.Steps = append(p.Steps, s)
	}
	return p, nil
}

func encodeStep(s Step) (stepFile, error) {
	e := stepFile{
		ID: s.ID, Address: s.Address, Kind: s.Kind, Title: s.Title, Cause: s.Cause, Needs: s.Needs, Safety: s.Safety,
		Limits: s.Limits, Lock: s.Lock, Table: s.Table, Hazards: s.Hazards, Does: s.Does, Drops: s.Drops, Waits: s.Waits, Source: s.Source,
		Estimate: s.Estimate, Together: s.Together, Cleanup: s.Cleanup, Section: s.Section, Deferred: s.Deferred, UntilSpec: s.UntilSpec,
	}
	var err error
	if e.Action, err = tagged(actionTypes, s.Action); err != nil {
		return e, err
	}
	for _, g := range s.Guards {
		raw, err := tagged(guardTypes, g)
		if err != nil {
			return e, err
		}
		e.Guards = append(e.Guards, raw)
	}
	if s.Undo == nil {
		return e, nil
	}
	e.Undo = &undoFile{Title: s.Undo.Title, Loses: s.Undo.Loses, Bars: s.Undo.Bars}
	if s.Undo.Action != nil {
		e.Undo.Action, err = tagged(actionTypes, s.Undo.Action)
	}
	return e, err
}

func (e stepFile) step() (Step, error) {
	s := Step{
		ID: e.ID, Address: e.Address, Kind: e.Kind, Title: e.Title, Cause: e.Cause, Needs: e.Needs, Safety: e.Safety,
		Limits: e.Limits, Lock: e.Lock, Table: e.Table, Hazards: e.Hazards, Does: e.Does, Drops: e.Drops, Waits: e.Waits, Source: e.Source,
		Estimate: e.Estimate, Together: e.Together, Cleanup: e.Cleanup, Section: e.Section, Deferred: e.Deferred, UntilSpec: e.UntilSpec,
	}
	var err error
	if s.Action, err = untagged(actionTypes, e.Action); err != nil {
		return s, err
	}
	for _, raw := range e.Guards {
		g, err := untagged(guardTypes, raw)
		if err != nil {
			return s, err
		}
		s.Guards = append(s.Guards, g)
	}
	if e.Undo == nil {
		return s, nil
	}
	s.Undo = &Undo{Title: e.Undo.Title, Loses: e.Undo.Loses, Bars: e.Undo.Bars}
	if e.Undo.Action != nil {
		s.Undo.Action, err = untagged(actionTypes, e.Undo.Action)
	}
	return s, err
}

// tagged writes a value of a sealed set as {"NAME": {…}}.
func tagged[T any](types map[string]T, v T) (json.RawMessage, error) {
	for _, name := range sortedKeys(types) {
		if reflect.TypeOf(types[name]) == reflect.TypeOf(v) {
			return json.Marshal(map[string]T{name: v})
		}
	}
	return nil, fmt.Errorf("encoding %T: not in the sealed set", v)
}

// untagged reads what tagged wrote.
func untagged[T any](types map[string]T, raw json.RawMessage) (T, error) {
	var zero T
	var byName map[string]json.RawMessage
	if err := json.Unmarshal(raw, &byName); err != nil {
		return zero, err
	}
	for name, data := range byName {
		model, ok := types[name]
		if !ok || len(byName) != 1 {
			return zero, fmt.Errorf("unknown type %q", name)
		}
		v := reflect.New(reflect.TypeOf(model).Elem())
		return v.Interface().(T), strict(data, v.Interface())
	}
	return zero, errors.New("empty object")
}

func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func encodeIndented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding the plan: %w", err)
	}
	return b.Bytes(), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
