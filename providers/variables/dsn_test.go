package variables_test

import (
	"testing"

	"pleat/providers/variables"
)

func TestNamed(t *testing.T) {
	const name = "users@2.0.0/web.1"
	tests := []struct{ in, want string }{
		{"postgres://u:p@h:5432/db", "postgres://u:p@h:5432/db?application_name=users%402.0.0%2Fweb.1"},
		{"postgres://h/db?", "postgres://h/db?application_name=users%402.0.0%2Fweb.1"},
		{"postgresql://h/db?sslmode=disable&application_name=x&options=-c%20a%3Db",
			"postgresql://h/db?sslmode=disable&options=-c%20a%3Db&application_name=users%402.0.0%2Fweb.1"},
		{"postgres://h/db?application%5Fname=x", "postgres://h/db?application_name=users%402.0.0%2Fweb.1"},
		{"host=h dbname=db", "host=h dbname=db application_name='users@2.0.0/web.1'"},
		{"application_name=x host=h", "host=h application_name='users@2.0.0/web.1'"},
		{`host = h password='a \' b' application_name = 'x y' port=1`, `host=h password='a \' b' port=1 application_name='users@2.0.0/web.1'`},
		{`password=a\ b host=h`, `password=a\ b host=h application_name='users@2.0.0/web.1'`},
		{"password='' host=h", "password='' host=h application_name='users@2.0.0/web.1'"},
		{"", "application_name='users@2.0.0/web.1'"},
	}
	for _, tt := range tests {
		got, err := variables.Named(tt.in, name)
		if err != nil || got != tt.want {
			t.Errorf("named(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, bad := range []string{"secret", "host=h password='secret", "host=h secret", "postgres://h/db?application_name=%zz"} {
		_, err := variables.Named(bad, name)
		if err == nil || len(err.Error()) == 0 {
			t.Errorf("named(%q) = %v, want an error", bad, err)
		}
	}
	if got, err := variables.Named("host=h", `it's \ mine`); err != nil || got != `host=h application_name='it\'s \\ mine'` {
		t.Errorf("quoting: %q, %v", got, err)
	}
}

func FuzzNamed(f *testing.F) {
	f.Add("host=h password='x")
	f.Add("postgres://h/db?a=b&application_name=c")
	f.Fuzz(func(t *testing.T, dsn string) {
		once, err := variables.Named(dsn, "users@1/web.1")
		if err != nil {
			return
		}
		twice, err := variables.Named(once, "users@1/web.1")
		if err != nil || twice != once {
			t.Errorf("named(%q) = %q, and again %q, %v", dsn, once, twice, err)
		}
	})
}
