package conn_test

import (
	"testing"

	"pleat/migrations/conn"
	"pleat/spec"
)

func TestLabelNamesHostAndDatabaseAlone(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://u:s3cret@db.example/app":            "db.example/app",
		"postgres://u:s3cret@db.example:5433/app?x=y":   "db.example:5433/app",
		"postgres:///app?host=/var/run/postgresql":      "localhost/app",
		"host=10.0.0.5 dbname=app user=u password=pass": "10.0.0.5/app",
	} {
		if got, err := conn.Label(spec.Secret("var.url", url)); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", url, got, err, want)
		}
	}
	if got, err := conn.Label(spec.Secret("var.url", "postgres://u:a/b@db/app")); err == nil {
		t.Errorf("a password that is taken for a host is shown: %q", got)
	}
}
