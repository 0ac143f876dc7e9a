// Package artifact keeps what releases are made of, each file under the
// SHA-256 of its content. A file in the store is never changed.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"pleat/providers/host/disk"
	"pleat/spec"
)

// DigestError is content that is not what its name says.
type DigestError struct{ Want, Got string }

// Error names both digests.
func (e *DigestError) Error() string {
	return fmt.Sprintf("artifact has sha256 %s, want %s", e.Got, e.Want)
}

// ErrName is a name that is no SHA-256 in lower-case hex.
var ErrName = errors.New("want a sha256 of 64 lower-case hex digits")

var name = spec.Pattern(`^[0-9a-f]{64}$`)

// Store is a directory of artifacts. Several goroutines may use it.
type Store struct {
	dir string

	mu       sync.Mutex
	verified map[string]identity // as it was when its content was read
}

// identity changes whenever something is done to a file.
type identity struct {
	inode   uint64
	size    int64
	changed unix.Timespec
}

func identify(f *os.File) (identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return identity{}, err
	}
	return identity{s.Ino, s.Size, s.Ctim}, nil
}

// partial is the beginning of the names of uploads under way.
const partial = "upload-"

// Open makes the directory where it is missing, and clears away uploads that a
// crash cut short. One process at a time has a store open.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the artifact store: %w", err)
	}
	torn, err := filepath.Glob(filepath.Join(dir, partial+"*"))
	if err != nil {
		return nil, fmt.Errorf("opening the artifact store: %w", err)
	}
	for _, path := range torn {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("opening the artifact store: %w", err)
		}
	}
	return &Store{dir: dir, verified: map[string]identity{}}, nil
}

// Path is where the artifact is, whether it is there or not.
func (s *Store) Path(sha string) string { return filepath.Join(s.dir, sha) }

// Has tells whether the artifact is there, without reading it.
func (s *Store) Has(sha string) (bool, error) {
	if !name().MatchString(sha) {
		return false, ErrName
	}
	_, err := os.Stat(s.Path(sha))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Put reads content to its end and keeps it, executable and read-only. It is
// there whole or not at all; content with another digest is a *DigestError.
func (s *Store) Put(sha string, content io.Reader) error {
	if !name().MatchString(sha) {
		return ErrName
	}
	f, err := os.CreateTemp(s.dir, partial+"*")
	if err != nil {
		return fmt.Errorf("storing artifact: %w", err)
	}
	if err := fill(f, sha, content); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	// A process that was forked while the file was open for writing holds it
	// open until it execs, and Linux refuses to execute such a file (ETXTBSY,
	// golang.org/issue/22315). The lock is free once no such fork is under way.
	syscall.ForkLock.RLock()
	syscall.ForkLock.RUnlock()
	if err := os.Rename(f.Name(), s.Path(sha)); err != nil {
		return errors.Join(fmt.Errorf("storing artifact: %w", err), os.Remove(f.Name()))
	}
	return disk.SyncDir(s.dir)
}

func fill(f *os.File, sha string, content io.Reader) error {
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), content); err != nil {
		return errors.Join(fmt.Errorf("storing artifact: %w", err), f.Close())
	}
	if err := errors.Join(f.Chmod(0o500), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("storing artifact: %w", err)
	}
	return compare(sha, h.Sum(nil))
}

// Verify compares the artifact's digest: nil, a *DigestError, or that it cannot be
// read. A file that nobody has touched since it was found right is not read again:
// all instances of a release are started from one.
func (s *Store) Verify(sha string) error {
	if !name().MatchString(sha) {
		return ErrName
	}
	f, err := os.Open(s.Path(sha))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("artifact %s is not in the store", sha)
	}
	if err != nil {
		return fmt.Errorf("reading artifact: %w", err)
	}
	return errors.Join(s.verify(f, sha), f.Close())
}

func (s *Store) verify(f *os.File, sha string) error {
	s.mu.Lock() // who waits for another one's reading need not read
	defer s.mu.Unlock()
	id, err := identify(f)
	if err != nil {
		return fmt.Errorf("reading artifact: %w", err)
	}
	if s.verified[sha] == id {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("reading artifact: %w", err)
	}
	if err := compare(sha, h.Sum(nil)); err != nil {
		return err
	}
	s.verified[sha] = id
	return nil
}

func compare(want string, sum []byte) error {
	if got := hex.EncodeToString(sum); got != want {
		return &DigestError{Want: want, Got: got}
	}
	return nil
}
