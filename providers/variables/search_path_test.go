package variables_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"pleat/providers/variables"
)

func TestViewed(t *testing.T) {
	schemas := []string{"pleat_b", "pleat_A"}
	const all = `-c search_path="pleat_b","pleat_A",`
	tests := []struct{ in, param, want string }{
		{"postgres://u:p@h:5432/db", "options", all + `"$user",public`},
		{"postgres://h/db?sslmode=disable&options=-c%20work_mem%3D1MB", "options", "-c work_mem=1MB " + all + `"$user",public`},
		{"postgres://h/db?options=-csearch_path%3Dapp%2C%5C%20public", "options", `-csearch_path=app,\ public ` + all + `app,\ public`},
		{"postgres://h/db?options=--search-path%3Dapp", "options", "--search-path=app " + all + "app"},
		{"postgres://h/db?search_path=app,public", "search_path", `"pleat_b","pleat_A",app,public`},
		{"host=h dbname=db", "options", all + `"$user",public`},
		{`host=h options='-c search_path=it\'s'`, "options", "-c search_path=it's " + all + "it's"},
	}
	for _, tt := range tests {
		got, err := variables.Viewed(tt.in, schemas)
		if err != nil {
			t.Errorf("viewed(%q): %v", tt.in, err)
			continue
		}
		c, err := pgx.ParseConfig(got)
		if err != nil || c.RuntimeParams[tt.param] != tt.want || c.Host != "h" {
			t.Errorf("viewed(%q) = %q, %v with %s %q, want %q", tt.in, got, err, tt.param, c.RuntimeParams[tt.param], tt.want)
		}
	}
	if got, err := variables.Viewed("postgres://h/db", nil); err != nil || got != "postgres://h/db" {
		t.Errorf("without views: %q, %v", got, err)
	}
	if _, err := variables.Viewed("host=h password='secret", schemas); err == nil {
		t.Error("no error for a quote that does not end")
	}
}
