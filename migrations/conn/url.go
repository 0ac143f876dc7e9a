package conn

import (
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/spec"
)

// misread tells whether a part of the password would be taken for the host, the
// database or a parameter, and shown as such: it holds a "/", "?" or "#", and
// so the "@" that ends it comes late.
func misread(text string) bool {
	_, rest, isURL := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	return isURL && end >= 0 && strings.Contains(rest[end:], "@")
}

// parse keeps the driver's own error away: it may hold the whole URL.
func parse(url spec.Text) (*pgx.ConnConfig, error) {
	if url.Reveal() == "" {
		return nil, &URLError{Ref: url.Ref(), Reason: "is empty"}
	}
	if misread(url.Reveal()) {
		return nil, &URLError{Ref: url.Ref(), Reason: "has a character in its password that must be percent-encoded"}
	}
	config, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		why, hint := unreadable(url.Reveal())
		return nil, &URLError{Ref: url.Ref(), Reason: why, hint: hint}
	}
	return config, nil
}

// Unverified is the other host with which a URL may have sessions that are without
// TLS, or with any server that answers: its sslmode, which may be given by PGSSLMODE
// too, is another than verify-full. "" where sessions stay on this machine or the
// host is known for certain.
func Unverified(url spec.Text) string {
	config, err := parse(url)
	if err != nil {
		return "" // Open says why
	}
	ways := append([]*pgconn.FallbackConfig{{Host: config.Host, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	for _, w := range ways {
		if isRemote(w.Host) && (w.TLSConfig == nil || w.TLSConfig.InsecureSkipVerify) {
			return w.Host
		}
	}
	return ""
}

// isRemote tells a host that is reached over a network from a socket and from this
// machine.
func isRemote(host string) bool {
	ip := net.ParseIP(host)
	return !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "@") && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// sslModes are the ways in which libpq speaks TLS.
var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// unreadable says why the driver refuses a URL, as far as that can be told without
// showing what may be secret: names of parameters, and of files.
func unreadable(text string) (why, hint string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "cannot be read", ""
	}
	values := u.Query()
	if mode := values.Get("sslmode"); mode != "" && !slices.Contains(sslModes, mode) {
		return "has an unknown sslmode", "it is " + strings.Join(sslModes, ", ")
	}
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey"} {
		if file := values.Get(name); file != "" && file != "system" {
			if _, err := os.ReadFile(file); err != nil {
				return "has an " + name + " that cannot be read: " + reason(err), "it is a file where pleat runs"
			}
		}
	}
	if seconds := values.Get("connect_timeout"); seconds != "" {
		if _, err := strconv.Atoi(seconds); err != nil {
			return "has a connect_timeout that is no number of seconds", "write it as connect_timeout=10"
		}
	}
	return "cannot be read", ""
}

// reason is what is wrong with a file, without its path.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
