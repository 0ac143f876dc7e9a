package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrNotInstalled is returned when this machine has no PostgreSQL server.
var ErrNotInstalled = errors.New("postgres and initdb are neither in PATH nor in a usual place; " +
	"install PostgreSQL (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@16)")

var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/usr/pgsql-*/bin",
}

// BinariesVariable names the directory of another server's programs than the
// one that PATH leads to: of another version, such as testdata/setup's
// postgres_versions.sh fetches.
const BinariesVariable = "PLEAT_TEST_POSTGRES_BIN"

// Binaries gives the directory that holds initdb and postgres: the one that
// PLEAT_TEST_POSTGRES_BIN names, else the one that PATH leads to, else the
// highest version in the places where packages put them, else ErrNotInstalled.
func Binaries() (string, error) {
	if named := os.Getenv(BinariesVariable); named != "" {
		if !hasServer(named) {
			return "", fmt.Errorf("%s: initdb and postgres are not in %s", BinariesVariable, named)
		}
		return named, nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil && hasServer(filepath.Dir(initdb)) {
		return filepath.Dir(initdb), nil
	}
	for _, pattern := range usualPlaces {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
		if i := slices.IndexFunc(dirs, hasServer); i >= 0 {
			return dirs[i], nil
		}
	}
	return "", ErrNotInstalled
}

func hasServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// version is the first number in the path: 15 for /usr/lib/postgresql/15/bin.
func version(dir string) int {
	start := 0
	for start < len(dir) && (dir[start] < '0' || dir[start] > '9') {
		start++
	}
	end := start
	for end < len(dir) && dir[end] >= '0' && dir[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(dir[start:end])
	if err != nil {
		return 0
	}
	return n
}
