package conn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// URLError is a database URL that cannot be used. It never shows the URL.
type URLError struct {
	Ref    string // where the spec has it; "" when unknown
	Reason string
	hint   string // "" is the form that a URL has
}

func (e *URLError) Error() string {
	if e.Ref == "" {
		return "the database url " + e.Reason
	}
	return "the database url in " + e.Ref + " " + e.Reason
}

// Hint is what to do about it.
func (e *URLError) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	return "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters in the password percent-encoded (@ is %40)"
}

// OpenError is a database that could not be connected to. It shows where and
// as whom, never the password.
type OpenError struct {
	Host     string
	Port     uint16
	Database string
	User     string
	Reason   string
	hint     string
	cause    error
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("connecting to database %q at %s as %q: %s", e.Database, e.where(), e.User, e.Reason)
}

// Hint is what to do about it; "" when there is nothing to add.
func (e *OpenError) Hint() string { return e.hint }

// Unwrap gives the server's or the network's own error.
func (e *OpenError) Unwrap() error { return e.cause }

func (e *OpenError) where() string {
	if strings.HasPrefix(e.Host, "/") {
		return fmt.Sprintf("%s/.s.PGSQL.%d", e.Host, e.Port)
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// openError drops the driver's connect error, which holds the password, and
// keeps what it is about.
func openError(config *pgx.ConnConfig, err error) *OpenError {
	e := &OpenError{Host: config.Host, Port: config.Port, Database: config.Database, User: config.User}
	e.cause, e.Reason, e.hint = explain(err)
	if e.Database == "" {
		e.Database = config.User
	}
	return e
}

func explain(err error) (cause error, reason, hint string) {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return refusal, serverReason(refusal), serverHints[refusal.Code]
	}
	if cause, reason, hint, ok := explainTLS(err); ok {
		return cause, reason, hint
	}
	return explainNetwork(err)
}

// serverReason is the server's own line, which names what it is about, with
// its code.
func serverReason(e *pgconn.PgError) string { return e.Message + " (" + e.Code + ")" }

// tooManyConnections is the server's code for having no room.
const tooManyConnections = "53300"

var serverHints = map[string]string{
	"28P01":            "check user and password in the url",
	"28000":            "check the user in the url, and pg_hba.conf on the server",
	"3D000":            "create the database, or correct its name in the url",
	"42501":            "grant connect on the database to the user",
	tooManyConnections: "end idle sessions or raise max_connections; pleat needs three connections to each database",
	"57P03":            "the server is starting or stopping; try again in a moment",
}

func explainTLS(err error) (cause error, reason, hint string, ok bool) {
	const check = "check sslmode and sslrootcert in the url"
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return authority, "the server's certificate is signed by an unknown authority", check, true
	case errors.As(err, &name):
		return name, "the server's certificate is for another host: " + name.Error(), check, true
	case errors.As(err, &invalid):
		return invalid, "the server's certificate is not valid: " + invalid.Error(), check, true
	case errors.As(err, &verification):
		return verification, "the server's certificate cannot be verified", check, true
	case errors.As(err, &record):
		return record, "the server does not speak TLS", check, true
	case strings.Contains(err.Error(), "server refused TLS connection"):
		// pgconn has no type for it.
		return nil, "the server refuses TLS", "enable ssl on the server, or say sslmode=disable for a local one", true
	}
	return nil, "", "", false
}

func explainNetwork(err error) (cause error, reason, hint string) {
	const check = "check host and port in the url, and whether the server runs"
	var lookup *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled, "cancelled", ""
	case errors.As(err, &lookup):
		return lookup, "host not found", check
	case errors.Is(err, syscall.ECONNREFUSED):
		return syscall.ECONNREFUSED, "connection refused", check
	case errors.Is(err, os.ErrNotExist):
		return os.ErrNotExist, "there is no socket", check
	case errors.Is(err, os.ErrPermission):
		return os.ErrPermission, "no permission to use the socket", "run as a user that may"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return context.DeadlineExceeded, "no answer in time", "check host and port in the url, and firewalls on the way"
	}
	return nil, "the connection was lost while it was being made", check
}

// Transient tells whether the same server may answer a moment later: it is
// starting, stopping, or not there at present.
func (e *OpenError) Transient() bool {
	var refusal *pgconn.PgError
	if errors.As(e.cause, &refusal) {
		return refusal.Code == "57P03" || refusal.Code == "57P01" || refusal.Code == "57P02"
	}
	return e.cause == nil || errors.Is(e.cause, syscall.ECONNREFUSED) || errors.Is(e.cause, os.ErrNotExist)
}
