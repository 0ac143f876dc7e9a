package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"pleat/providers/host/api"
	"pleat/providers/host/cgroup"
	"pleat/spec"
)

// longestSecret bounds what is read from a file of a secret.
const longestSecret = 64 << 10

// person is a user of the host whom instances run as; nil is the agent's own.
type person struct {
	name, home string
	credential *syscall.Credential
}

// whom finds a user, refused where the agent may not become one.
func whom(name string) (*person, error) {
	if name == "" {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, api.Errorf(api.CodeInvalid, "user %s: the agent is not root, and so cannot run anything as somebody else", name)
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "user %s: %v", name, err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	p := &person{name: name, home: u.HomeDir, credential: &syscall.Credential{}}
	if p.credential.Uid, err = id(u.Uid); err != nil {
		return nil, err
	}
	if p.credential.Gid, err = id(u.Gid); err != nil {
		return nil, err
	}
	for _, g := range groups {
		n, err := id(g)
		if err != nil {
			return nil, err
		}
		p.credential.Groups = append(p.credential.Groups, n)
	}
	return p, nil
}

func id(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// who is the credential to start something with.
func (p *person) who() *syscall.Credential {
	if p == nil {
		return nil
	}
	return p.credential
}

// introduce makes what the agent has in its directory be of use to somebody
// else: the artifact can be run, and what an instance says of itself written.
// Lists of names stay the agent's.
func (p *person) introduce(s *Supervisor, d api.Definition, words ...string) error {
	if p == nil {
		return nil
	}
	artifact := s.Artifacts.Path(d.SHA256)
	for _, dir := range []string{s.Dir, filepath.Dir(artifact), s.handovers(), s.roles()} {
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	if err := os.Chmod(artifact, 0o555); err != nil {
		return err
	}
	for _, word := range words {
		f, err := os.OpenFile(word, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Chown(int(p.credential.Uid), int(p.credential.Gid)), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// secrets reads what the files of a definition hold, by variable.
func (s *Supervisor) secrets(d api.Definition) (map[string]string, error) {
	out := map[string]string{}
	for name, path := range d.Secrets {
		value, err := readSecret(path)
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", name, err)
		}
		out[name] = value
		s.hidden.remember(path, value)
	}
	return out, nil
}

// within gives the directory to run in, which has to be there.
func within(d api.Definition) (string, error) {
	if d.WorkingDirectory == "" {
		return "/", nil
	}
	stat, err := os.Stat(d.WorkingDirectory)
	if err != nil {
		return "", fmt.Errorf("working directory: %w", err)
	}
	if !stat.IsDir() {
		return "", fmt.Errorf("working directory %s: %w", d.WorkingDirectory, syscall.ENOTDIR)
	}
	return d.WorkingDirectory, nil
}

// Group is the name of a control group: no two agents of a host share one.
func Group(dir, of string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:4]) + "-" + of
}

// bounded makes the group that the limits ask for; nil where there is none.
func bounded(name string, l spec.Limits) (*cgroup.Group, error) {
	if l == (spec.Limits{}) {
		return nil, nil
	}
	return cgroup.Make(name, l)
}

// release takes the group of an instance or a task away, and tells whether it
// overran its memory.
func release(name string, l spec.Limits) (overran bool, err error) {
	if l == (spec.Limits{}) {
		return false, nil
	}
	g := cgroup.Find(name, l)
	overran = g.Overran()
	return overran, g.Remove()
}

// overrun is how an instance ended that needed more memory than it may.
func overrun(l spec.Limits) error {
	return fmt.Errorf("killed: it needed more than its %s of memory", spec.FormatMemory(l.Memory))
}
