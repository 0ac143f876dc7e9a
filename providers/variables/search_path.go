package variables

import (
	"strings"

	"pleat/migrations"
)

const (
	searchPath  = "search_path"
	defaultPath = `"$user",public` // Postgres's own
)

// viewed gives the connection string with schemas in front of its search_path.
// libpq takes the setting in options alone; some drivers know search_path as a
// parameter too, which the server then lets win.
func viewed(dsn string, schemas []string) (string, error) {
	if len(schemas) == 0 {
		return dsn, nil
	}
	_, own, err := setParameter(dsn, searchPath, func(string) string { return "" })
	if err != nil {
		return "", err
	}
	if own != "" {
		out, _, err := setParameter(dsn, searchPath, func(was string) string { return inFront(schemas, was) })
		return out, err
	}
	out, _, err := setParameter(dsn, "options", func(was string) string {
		added := "-c " + searchPath + "=" + escapeOption(inFront(schemas, pathIn(was)))
		return strings.TrimLeft(was+" "+added, " ")
	})
	return out, err
}

func inFront(schemas []string, path string) string {
	var all []string
	for _, s := range schemas {
		all = append(all, migrations.Ident(s))
	}
	return strings.Join(append(all, path), ",")
}

// pathIn is the search_path that options set, the last of them, or the default.
func pathIn(options string) string {
	path := defaultPath
	for _, o := range splitOptions(options) {
		o = strings.TrimPrefix(strings.TrimPrefix(o, "-c"), "--")
		if name, value, ok := strings.Cut(o, "="); ok && strings.ReplaceAll(name, "-", "_") == searchPath {
			path = value
		}
	}
	return path
}

// splitOptions are the words of options: a backslash takes the next character
// as it is.
func splitOptions(options string) []string {
	var words []string
	var word strings.Builder
	for n := 0; n < len(options); n++ {
		switch {
		case options[n] == '\\' && n+1 < len(options):
			n++
			word.WriteByte(options[n])
		case strings.IndexByte(blank, options[n]) >= 0:
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteByte(options[n])
		}
	}
	return append(words, word.String())
}

func escapeOption(value string) string {
	return strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t").Replace(value)
}
