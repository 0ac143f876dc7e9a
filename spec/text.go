package spec

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// hidden is what every rendering of a secret shows.
const hidden = "(sensitive)"

// Text is a string of the author's that may be secret. However it is printed,
// encoded or logged, a secret one shows "(sensitive)"; its JSON form is a
// reference to where the spec has it. Only Reveal gives the value, and only
// providers call it.
type Text struct {
	value     string
	ref       string
	sensitive bool
}

// Plain is text that may be shown.
func Plain(value string) Text { return Text{value: value} }

// Secret is text that is never shown. ref says where the spec has it, such as
// `service.users.release["2.0.0"].env.API_KEY`.
func Secret(ref, value string) Text { return Text{value: value, ref: ref, sensitive: true} }

// Sensitive tells whether the text is secret.
func (t Text) Sensitive() bool { return t.sensitive }

// Ref says where the spec has a secret; "" for text that may be shown.
func (t Text) Ref() string { return t.ref }

// Reveal gives the value. A secret that was read from a saved plan has none
// until the spec it refers to is asked.
func (t Text) Reveal() string { return t.value }

// Empty tells whether there is neither a value nor a reference.
func (t Text) Empty() bool { return t.value == "" && t.ref == "" }

// String is the value, or "(sensitive)".
func (t Text) String() string {
	if t.sensitive {
		return hidden
	}
	return t.value
}

// GoString is String quoted.
func (t Text) GoString() string { return fmt.Sprintf("%q", t.String()) }

// Format prints String under every verb.
func (t Text) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		fmt.Fprintf(f, "%q", t.String())
		return
	}
	fmt.Fprint(f, t.String())
}

// LogValue is String.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

type textRef struct {
	Sensitive string `json:"sensitive"`
}

// MarshalJSON writes the value, or {"sensitive": "REFERENCE"}.
func (t Text) MarshalJSON() ([]byte, error) {
	if t.sensitive {
		return json.Marshal(textRef{t.ref})
	}
	return json.Marshal(t.value)
}

// UnmarshalJSON reads what MarshalJSON wrote; a secret comes back without its
// value.
func (t *Text) UnmarshalJSON(b []byte) error {
	var plain string
	if err := json.Unmarshal(b, &plain); err == nil {
		*t = Plain(plain)
		return nil
	}
	var r textRef
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	*t = Secret(r.Sensitive, "")
	return nil
}
