package router

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"pleat/providers/host/api"
)

// certificates is how often the files of a certificate are looked at, while there
// are connections.
const certificates = time.Second

// certificate is a certificate in files, read again when they change. One that
// cannot be read leaves what is there: a renewal that is half way must not end all
// connections.
type certificate struct {
	api.TLS
	log *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	read   [2]time.Time // when the files were changed that now is of
	looked time.Time
}

// newCertificate reads the files once: without them nothing is listened to.
func newCertificate(t api.TLS, log *slog.Logger) (*certificate, error) {
	c := &certificate{TLS: t, log: log}
	return c, c.load()
}

func (c *certificate) load() error {
	var read [2]time.Time
	for n, file := range []string{c.Certificate, c.Key} {
		stat, err := os.Stat(file)
		if err != nil {
			return err
		}
		read[n] = stat.ModTime()
	}
	if read == c.read {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return err
	}
	c.now, c.read = &pair, read
	return nil
}

// config is nil where connections are not secured.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= certificates {
		c.looked = time.Now()
		if err := c.load(); err != nil {
			c.log.Warn("reading a certificate again", "file", c.Certificate, "error", err)
		}
	}
	return c.now, nil
}

// Secure says how the route on listen is secured, from when it is opened on; nil
// for not at all. Where it is open otherwise it is refused (CodeConflict).
func (r *Router) Secure(listen string, t *api.TLS) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, open := r.routes[listen]
	if !open {
		r.secured[listen] = t
		return nil
	}
	if (o.tls == nil) != (t == nil) || t != nil && *t != o.tls.TLS {
		return api.Errorf(api.CodeConflict, "%s is open with another certificate than the router's, or without one; another address can have it, or this one once nothing is attached and the agent is started anew", listen)
	}
	return nil
}

// secure has the route take TLS connections only.
func (r *route) secure(t *api.TLS, log *slog.Logger) error {
	if t == nil {
		return nil
	}
	c, err := newCertificate(*t, log)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", r.listen, errors.Join(err, r.listener.Close()))
	}
	r.tls = c
	return nil
}
