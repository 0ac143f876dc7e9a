package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"pleat/providers/host/agenttest"
)

// window is how much of a secret in a row counts as a leak.
const window = 8

// secretCommand fails when a secret, or 8 bytes of it, is in anything that
// exits printed, in a row of pleat's tables, in what agents said, or in one of
// the files or directories; plain or in one of its usual disguises. With ! it
// must be found.
//
//	secret SECRET [PATH ...]
func secretCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := sceneOf(ts)
	places := map[string]string{"what was printed": w.transcript.String()}
	rows, err := pleatRows(w.url)
	ts.Check(err)
	places["pleat's tables"] = rows
	for name, a := range w.agents {
		places["what agent "+name+" said"] = a.output.String()
	}
	for _, path := range args[1:] {
		ts.Check(readAll(ts.MkAbs(path), places))
	}
	var found []string
	for place, text := range places {
		for _, form := range disguises(args[0]) {
			if strings.Contains(text, form) {
				found = append(found, fmt.Sprintf("%s: %q", place, form))
				break
			}
		}
	}
	if (len(found) > 0) != neg {
		ts.Fatalf("secret %q found in: %s", args[0], strings.Join(found, ", "))
	}
}

// disguises are the forms in which a secret may leak.
func disguises(secret string) []string {
	backwards := []byte(secret)
	slices.Reverse(backwards)
	forms := []string{url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)), string(backwards)}
	for i := 0; i+window <= len(secret); i++ {
		forms = append(forms, secret[i:i+window])
	}
	if b, err := json.Marshal(secret); err == nil {
		forms = append(forms, strings.Trim(string(b), `"`))
	}
	return append(forms, base64Forms(secret)...)
}

// base64Forms are the digits that the secret alone decides, for each of the 0
// to 2 bytes by which what comes before it in a text can shift it. Fewer than
// a window of them may be anything.
func base64Forms(secret string) []string {
	var forms []string
	for shift := range 3 {
		first, end := (8*shift+5)/6, 8*(shift+len(secret))/6
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			coded := e.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			if end-first >= window {
				forms = append(forms, coded[first:end])
			}
		}
	}
	return forms
}

// pleatRows is every row of every table of pleat's as text.
func pleatRows(url string) (string, error) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	tables, err := c.Query(ctx, "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'pleat'")
	if err != nil {
		return "", err
	}
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range names {
		rows, err := c.Query(ctx, "select t::text, coalesce(to_jsonb(t)::text, '') from "+name+" t")
		if err != nil {
			return "", err
		}
		var text, object string
		if _, err := pgx.ForEachRow(rows, []any{&text, &object}, func() error {
			all.WriteString(unhexed(text) + object + "\n")
			return nil
		}); err != nil {
			return "", err
		}
	}
	return all.String(), nil
}

// unhexed adds what a bytea in a row's text means.
func unhexed(text string) string {
	out := text
	for _, part := range strings.Split(text, `\\x`)[1:] {
		end := strings.IndexFunc(part, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
		if b, err := hex.DecodeString(part[:max(end, 0)]); err == nil {
			out += string(b)
		}
	}
	return out
}

func readAll(path string, into map[string]string) error {
	return filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		into[name] = string(b)
		return err
	})
}

// certificateCommand writes cert.pem, for 127.0.0.1, and its key.pem:
//
//	certificate
func (s *stage) certificateCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: certificate")
	}
	cert, key := agenttest.Certificate(s.t)
	for from, to := range map[string]string{cert: "cert.pem", key: "key.pem"} {
		b, err := os.ReadFile(from)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(to), b, 0o600))
	}
}
