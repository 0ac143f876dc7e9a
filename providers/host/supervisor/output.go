package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// outputLimit is the size at which an output file is rotated.
	outputLimit = 10 << 20
	// outputKept is the number of rotated ones.
	outputKept = 3
	// outputAge is how long the output of an instance that is gone is kept.
	outputAge = 7 * 24 * time.Hour
)

// output is the file that an instance writes to. The instance itself holds it
// open, for appending, so that it can go on writing when the agent is away;
// that is why it is rotated by copying and truncating: a renamed file would
// still get the lines, and a pipe would break with the agent. What an instance
// writes between the copy and the truncation is lost.
type output struct{ path string }

// open gives the file to hand to the instance, and its size so far.
func (o output) open() (*os.File, int64, error) {
	f, err := os.OpenFile(o.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("opening the output: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("opening the output: %w", err), f.Close())
	}
	return f, size, nil
}

// rotate does nothing below the limit.
func (o output) rotate(limit int64) error {
	stat, err := os.Stat(o.path)
	if err != nil || stat.Size() < limit {
		return err
	}
	for n := outputKept - 1; n >= 1; n-- {
		if err := move(o.rotated(n), o.rotated(n+1)); err != nil {
			return err
		}
		if err := move(o.marks(n), o.marks(n+1)); err != nil {
			return err
		}
	}
	if err := copyFile(o.path, o.rotated(1)); err != nil {
		return err
	}
	if err := move(o.marks(0), o.marks(1)); err != nil {
		return err
	}
	return os.Truncate(o.path, 0)
}

// move is a rename of what may not be there.
func move(from, to string) error {
	if err := os.Rename(from, to); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (o output) rotated(n int) string { return fmt.Sprintf("%s.%d", o.path, n) }

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// last gives the last lines that were written at or after the offset. A file
// that has been rotated since begins at zero again.
func (o output) last(lines int, from int64) ([]string, error) {
	f, err := os.Open(o.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if from > size {
		from = 0
	}
	from = max(from, size-tailBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, from, size-from))
	if err != nil {
		return nil, err
	}
	return tail(b, lines), nil
}

// tailBytes bounds how far back last lines are looked for.
const tailBytes = 256 << 10

func tail(b []byte, lines int) []string {
	b = bytes.TrimRight(b, "\n")
	if len(b) == 0 {
		return nil
	}
	all := strings.Split(strings.ToValidUTF8(string(b), "\uFFFD"), "\n")
	return all[max(0, len(all)-lines):]
}

// prune removes output that nobody has written to since before. A living
// instance that is quiet keeps its file: it would go on writing to one that
// has no name.
func prune(dir string, before time.Time, living map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		first, _, _ := strings.Cut(e.Name(), ".log.") // of a rotated one
		stat, err := e.Info()
		if err == nil && stat.ModTime().Before(before) && !living[strings.TrimSuffix(first, ".log")] {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
