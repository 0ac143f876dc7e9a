package spec

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxFile is the size of a spec file, and of what file() reads.
const maxFile = 1 << 20

// specNames are the names of the spec files in root, sorted.
func specNames(root *os.Root) ([]string, error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), Suffix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

var (
	errTooLarge = errors.New("larger than 1 MiB")
	errNotPlain = errors.New("no plain file")
	errNotText  = errors.New("no text: it has a zero byte")
	errLeadsOut = errors.New("a symlink on the way to it leads out of the spec's directory, or is an absolute one, and a plan is made of nothing but what lies there and was reviewed with it; put what it leads to into the directory, or link to it there by a relative path")
)

// readLimited reads a file that lies in root, symlinks followed only within it.
// A pipe is not waited for.
func readLimited(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, rootReason(root, err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, errNotPlain
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, rootReason(root, err)
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, rootReason(root, err)
	}
	if len(src) > maxFile {
		return nil, errTooLarge
	}
	return src, nil
}

// fileReason strips the path from a file error, which its reader knows.
func fileReason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// rootReason is fileReason of what was looked for in root.
func rootReason(root *os.Root, err error) error {
	_, out := root.Lstat("..")
	if reason := fileReason(err); !errors.Is(reason, fileReason(out)) {
		return reason
	}
	return errLeadsOut
}

// source is a file and its syntax.
type source struct {
	bytes  []byte
	tokens hclsyntax.Tokens
	body   *hclsyntax.Body // nil when nothing could be read
	broken bool
}

// parse reads one file's syntax.
func parse(name string, src []byte) (source, hcl.Diagnostics) {
	s := source{bytes: src, tokens: lex(name, src)}
	diags := checkLimits(s.tokens)
	if diags.HasErrors() {
		s.broken = true
		return s, diags
	}
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	s.broken = diags.HasErrors()
	if file != nil {
		s.body, _ = file.Body.(*hclsyntax.Body)
	}
	return s, diags
}

// lex leaves it to the parser to report what is wrong.
func lex(name string, src []byte) hclsyntax.Tokens {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	return tokens
}
