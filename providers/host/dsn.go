package host

import (
	"errors"
	"net/url"
	"strings"
)

// parameter is the connection parameter by which a session says whose it is.
const parameter = "application_name"

// named gives the connection string with that application name and no other.
// Errors do not quote the string: it holds a password.
func named(dsn, name string) (string, error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		return namedURL(dsn, name), nil
	}
	return namedPairs(dsn, name)
}

// namedURL leaves everything else as it is written: libpq knows %20 but not +,
// so the query must not be encoded anew.
func namedURL(dsn, name string) string {
	base, query, _ := strings.Cut(dsn, "?")
	var kept []string
	for _, p := range strings.Split(query, "&") {
		key, _, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(key); p == "" || err == nil && plain == parameter {
			continue
		}
		kept = append(kept, p)
	}
	escaped := strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	return base + "?" + strings.Join(append(kept, parameter+"="+escaped), "&")
}

// namedPairs is for the form "host=… password='…'", see libpq's "Connection
// Strings".
func namedPairs(dsn, name string) (string, error) {
	var kept []string
	for rest := strings.TrimLeft(dsn, blank); rest != ""; rest = strings.TrimLeft(rest, blank) {
		key, value, found := strings.Cut(rest, "=")
		if !found {
			return "", errors.New("want a postgres:// URL or key=value pairs")
		}
		value = strings.TrimLeft(value, blank)
		end, err := valueEnd(value)
		if err != nil {
			return "", err
		}
		if key = strings.TrimRight(key, blank); key != parameter {
			kept = append(kept, key+"="+value[:end])
		}
		rest = value[end:]
	}
	quoted := "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "'"
	return strings.Join(append(kept, parameter+"="+quoted), " "), nil
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
