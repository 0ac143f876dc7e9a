package spec

import (
	"net/url"
	"strings"
)

// Redact blanks the spec's secrets in a text that somebody else wrote, such as
// the output of a program: each secret as it is and as it stands in a URL, and
// of a secret that is a URL the password as well. Secrets of fewer than four
// bytes stay: blanking them would blank the text.
func (s *Spec) Redact(text string) string {
	for t := range s.texts() {
		if t.Sensitive() {
			text = redact(text, t.Reveal())
		}
	}
	return text
}

// Blank is Redact for one secret.
func Blank(text, secret string) string { return redact(text, secret) }

const shortest = 4

func redact(text, secret string) string {
	if u, err := url.Parse(secret); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			text = redact(text, password)
		}
	}
	if len(secret) < shortest {
		return text
	}
	shown := hidden
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:]} {
		text = strings.ReplaceAll(text, form, shown)
	}
	return text
}
