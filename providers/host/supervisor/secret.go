package supervisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"pleat/providers/host/disk"
	"pleat/spec"
)

// readSecret gives what is in the file, without the line end that an editor
// leaves.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, longestSecret+1))
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case len(b) > longestSecret:
		return "", fmt.Errorf("%s is longer than %d bytes", path, longestSecret)
	case strings.ContainsRune(text, 0):
		return "", fmt.Errorf("%s has a NUL byte in it", path)
	}
	return text, nil
}

// hidden is what must not be shown of what instances say. On disk are only the
// paths: an agent that starts anew reads the values again.
type hidden struct {
	path string

	mu     sync.Mutex
	paths  map[string]bool
	values map[string]bool
}

func openHidden(dir string) (*hidden, error) {
	h := &hidden{path: filepath.Join(dir, "secrets.json"), paths: map[string]bool{}, values: map[string]bool{}}
	var paths []string
	if err := disk.ReadJSON(h.path, &paths); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, p := range paths {
		h.paths[p] = true
		// One that is gone is no secret any more that could be read again.
		if value, err := readSecret(p); err == nil {
			h.values[value] = true
		}
	}
	return h, nil
}

// remember keeps the value out of what is told. A path that cannot be written
// down costs no start: it is known until the agent ends.
func (h *hidden) remember(path, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[value] = true
	if h.paths[path] {
		return
	}
	h.paths[path] = true
	_ = disk.WriteJSON(h.path, slices.Sorted(maps.Keys(h.paths)))
}

// blank leaves the secrets out of a text; the longest first, since one may be a
// part of another.
func (h *hidden) blank(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	values := slices.SortedFunc(maps.Keys(h.values), func(a, b string) int { return len(b) - len(a) })
	for _, v := range values {
		text = spec.Blank(text, v)
		for line := range strings.Lines(v) { // what is said is cut into lines
			text = spec.Blank(text, strings.TrimSpace(line))
		}
	}
	return text
}

func (h *hidden) blankAll(lines []string) []string {
	for n, line := range lines {
		lines[n] = h.blank(line)
	}
	return lines
}

// any tells whether there is something to leave out.
func (h *hidden) any() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.values) > 0
}
