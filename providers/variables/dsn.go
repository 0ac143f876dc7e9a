package variables

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// parameter is the connection parameter by which a session says whose it is.
const parameter = "application_name"

// named gives the connection string with that application name and no other.
// Errors do not quote the string: it holds a password.
func named(dsn, name string) (string, error) {
	out, _, err := setParameter(dsn, parameter, func(string) string { return name })
	return out, err
}

// setParameter gives a connection string one value of a parameter, made from
// the one that it has, "" for none; was says what that is.
func setParameter(dsn, key string, value func(was string) string) (out, was string, err error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		return setInURL(dsn, key, value)
	}
	return setInPairs(dsn, key, value)
}

// setInURL leaves everything else as it is written: libpq knows %20 but not +,
// so the query must not be encoded anew.
func setInURL(dsn, key string, value func(string) string) (out, was string, err error) {
	base, query, _ := strings.Cut(dsn, "?")
	var kept []string
	for _, p := range strings.Split(query, "&") {
		name, text, _ := strings.Cut(p, "=")
		if p == "" {
			continue
		}
		if plain, err := url.QueryUnescape(name); err == nil && plain == key {
			if was, err = url.QueryUnescape(text); err != nil {
				return "", "", fmt.Errorf("its %s is not escaped as a URL wants it", key)
			}
			continue
		}
		kept = append(kept, p)
	}
	escaped := strings.ReplaceAll(url.QueryEscape(value(was)), "+", "%20")
	return base + "?" + strings.Join(append(kept, key+"="+escaped), "&"), was, nil
}

// setInPairs is for the form "host=… password='…'", see libpq's "Connection
// Strings".
func setInPairs(dsn, key string, value func(string) string) (out, was string, err error) {
	var kept []string
	for rest := strings.TrimLeft(dsn, blank); rest != ""; rest = strings.TrimLeft(rest, blank) {
		name, text, found := strings.Cut(rest, "=")
		if !found {
			return "", "", errors.New("want a postgres:// URL or key=value pairs")
		}
		text = strings.TrimLeft(text, blank)
		end, err := valueEnd(text)
		if err != nil {
			return "", "", err
		}
		if name = strings.TrimRight(name, blank); name != key {
			kept = append(kept, name+"="+text[:end])
		} else {
			was = unescaped(strings.TrimSuffix(strings.TrimPrefix(text[:end], "'"), "'"))
		}
		rest = text[end:]
	}
	quoted := "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value(was)) + "'"
	return strings.Join(append(kept, key+"="+quoted), " "), was, nil
}

func unescaped(s string) string {
	var b strings.Builder
	for n := 0; n < len(s); n++ {
		if s[n] == '\\' && n+1 < len(s) {
			n++
		}
		b.WriteByte(s[n])
	}
	return b.String()
}

const blank = " \t\r\n\v\f"

// valueEnd is where a value ends: at its closing quote, or before a blank. A
// backslash takes the next character as it is.
func valueEnd(s string) (int, error) {
	quoted := strings.HasPrefix(s, "'")
	for n := 0; n < len(s); n++ {
		switch {
		case s[n] == '\\':
			n++
		case quoted && n > 0 && s[n] == '\'':
			return n + 1, nil
		case !quoted && strings.IndexByte(blank, s[n]) >= 0:
			return n, nil
		}
	}
	if quoted {
		return 0, errors.New("a quoted value does not end")
	}
	return len(s), nil
}
