package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"time"
)

// mark says that an output file was that long at a time. Instances write to
// their files themselves, so that is how it is known when a line was there.
type mark struct {
	at  time.Time
	end int64
}

const markSize = 16

// marks are beside the output file of that number; 0 is the one that is written
// to.
func (o output) marks(n int) string { return o.file(n) + ".marks" }

func (o output) file(n int) string {
	if n == 0 {
		return o.path
	}
	return o.rotated(n)
}

// mark writes down how long the output is, and tells whether it is longer than it
// was. A time that cannot be written down makes a later one count.
func (i *instance) mark() bool {
	o := i.output()
	stat, err := os.Stat(o.path)
	if err != nil || stat.Size() == i.marked {
		return false
	}
	i.marked = stat.Size()
	b := binary.BigEndian.AppendUint64(nil, uint64(stat.ModTime().UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(i.marked))
	f, err := os.OpenFile(o.marks(0), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Close())
	}
	i.warn("marking the output of", err)
	return true
}

func (o output) readMarks(n int) ([]mark, error) {
	b, err := os.ReadFile(o.marks(n))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading when the output was written: %w", err)
	}
	var out []mark
	for ; len(b) >= markSize; b = b[markSize:] {
		out = append(out, mark{
			at:  time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC(),
			end: int64(binary.BigEndian.Uint64(b[8:])),
		})
	}
	return out, nil
}

// when is the time at which the file was that long; otherwise where no mark
// says it.
func when(marks []mark, end int64, otherwise time.Time) time.Time {
	n := sort.Search(len(marks), func(n int) bool { return marks[n].end >= end })
	if n == len(marks) {
		return otherwise
	}
	return marks[n].at
}
