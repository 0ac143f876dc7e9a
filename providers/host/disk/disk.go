// Package disk writes small files so that each is whole or absent, whatever
// happens in between. It owns nothing else: what is in a file is its owner's.
package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// WriteJSON is Write of the JSON form of v. What a crash leaves half written is
// beside it, see Sweep: to look for another place each time takes longer than to
// write.
func WriteJSON(path string, v any) error {
	if err := ReplaceJSON(path, v); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// ReplaceJSON is WriteJSON of a file that is there and may be the one before after a
// power loss; whole it is then too. It waits for the disk once, not twice.
func ReplaceJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	if err := replace(path, append(b, '\n'), func(string) {}, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Write replaces the file at path by b, mode 0600. Once it returned nil, the
// content survives a power loss; when it returned an error, the file before is
// intact. at is called at each named point where a test may want the process
// to die; nil is nobody.
func Write(path string, b []byte, at func(point string)) error {
	if at == nil {
		at = func(string) {}
	}
	if err := replace(path, b, at); err != nil {
		return err
	}
	at("file.renamed")
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	at("file.directory_synced")
	return nil
}

func replace(path string, b []byte, at func(point string), where ...renameio.Option) error {
	f, err := renameio.NewPendingFile(path, append(where, renameio.WithPermissions(0o600), renameio.IgnoreUmask())...)
	if err != nil {
		return err
	}
	at("file.created")
	if err := fill(f, b, at); err != nil {
		return errors.Join(err, f.Cleanup())
	}
	return nil
}

func fill(f *renameio.PendingFile, b []byte, at func(point string)) error {
	if _, err := f.Write(b); err != nil {
		return err
	}
	at("file.written")
	if err := f.Sync(); err != nil {
		return err
	}
	at("file.synced")
	return f.CloseAtomicallyReplace()
}

// ReadJSON reads what WriteJSON wrote. An absent file is fs.ErrNotExist.
func ReadJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// Remove deletes the file for good; an absent one is done.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return errors.Join(err, SyncDir(filepath.Dir(path)))
}

// Sweep removes what WriteJSON and ReplaceJSON have left half written in a
// directory. Nobody writes there meanwhile.
func Sweep(dir string) error {
	torn, err := filepath.Glob(filepath.Join(dir, ".*.json[0-9]*"))
	if err != nil {
		return fmt.Errorf("clearing %s: %w", dir, err)
	}
	for _, path := range torn {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("clearing %s: %w", dir, err)
		}
	}
	return nil
}

// SyncDir makes the names in a directory durable: a rename alone may be
// forgotten by a crash.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
