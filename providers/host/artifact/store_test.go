package artifact_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"pleat/providers/host/artifact"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestPutAndVerify(t *testing.T) {
	dir := t.TempDir()
	s, err := artifact.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	sha := digest("content")
	if err := s.Put(sha, strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(sha); err != nil {
		t.Errorf("Verify = %v", err)
	}
	if err := s.Put(sha, strings.NewReader("content")); err != nil {
		t.Errorf("a second Put = %v", err)
	}
	stat, err := os.Stat(s.Path(sha))
	if err != nil || stat.Mode().Perm() != 0o500 {
		t.Errorf("mode = %v, %v, want 0500", stat.Mode(), err)
	}
	if err := errors.Join(os.Chmod(s.Path(sha), 0o700), os.WriteFile(s.Path(sha), []byte("other"), 0o700)); err != nil {
		t.Fatal(err)
	}
	var changed *artifact.DigestError
	if err := s.Verify(sha); !errors.As(err, &changed) || changed.Got != digest("other") {
		t.Errorf("Verify of a changed artifact = %v", err)
	}
}

func TestPutLeavesNothingOfWhatItRefuses(t *testing.T) {
	dir := t.TempDir()
	s, err := artifact.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	torn := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	tests := []struct {
		name, sha string
		content   io.Reader
	}{
		{"other content", digest("a"), strings.NewReader("b")},
		{"torn upload", digest("half and half"), torn},
		{"no digest", "../../etc/passwd", strings.NewReader("b")},
		{"upper case", strings.ToUpper(digest("b")), strings.NewReader("b")},
	}
	for _, tt := range tests {
		if err := s.Put(tt.sha, tt.content); err == nil {
			t.Errorf("%s: Put = nil", tt.name)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestOpenClearsTornUploads(t *testing.T) {
	dir := t.TempDir()
	torn := filepath.Join(dir, "upload-123")
	if err := os.WriteFile(torn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Open(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(torn); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
