package spec

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Notify is somebody who is told how runs go.
type Notify struct {
	Name    string
	Slack   bool     // in Slack's form
	On      []string // occasions
	URL     Text
	Headers map[string]Text
	Timeout time.Duration // of one attempt
	Range   hcl.Range
}

// Address is "notify.NAME".
func (n *Notify) Address() Address { return Address("notify." + n.Name) }

// Wants tells whether somebody is told of an occasion.
func (n *Notify) Wants(occasion string) bool { return slices.Contains(n.On, occasion) }

func (l *loader) notify(n *node, t *Notify) {
	t.On = n.strs("on")
	for i, occasion := range t.On {
		n.oneOfNames(n.atElement("on", i), "occasion", occasion, Occasions)
	}
	if !n.has("on") {
		t.On = slices.Clone(Occasions)
	}
	b := l.oneWay(n)
	if b == nil {
		return
	}
	t.Slack = b.syntax.Type == "slack"
	ref := string(t.Address())
	t.URL, t.Timeout = b.secret("url", ref+".url"), b.duration("timeout")
	if !t.Slack {
		t.Headers = b.textMap("headers", ref+".headers")
	}
	if url := t.URL.Reveal(); url != "" && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		l.add(b.at("url"), "Invalid URL", "The argument url of %s begins with http:// or https://.", b.title())
	}
}
