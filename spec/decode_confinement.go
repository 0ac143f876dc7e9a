package spec

import (
	"path"
	"strconv"

	"github.com/zclconf/go-cty/cty"
)

// userName is what useradd(8) allows for a name.
var userName = Pattern(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)

func confinement(n *node, p *Process) Confinement {
	c := Confinement{User: n.str("user")}
	if n.has("user") && !userName().MatchString(c.User) {
		n.problems.add(n.at("user"), "Invalid user", "%s cannot be the name of a user of a host.", quote(c.User))
	}
	if n.has("working_directory") {
		c.WorkingDirectory = n.absolute("working_directory")
	}
	if l := n.block("limits"); l != nil {
		c.Limits = Limits{Memory: l.memory("memory"), CPU: l.share("cpu")}
	}
	for _, s := range n.blocks("secret") {
		name := s.labels[0]
		_, twice := p.Env[name]
		switch {
		case name == "" || !environmentName(name):
			n.problems.add(s.labelRange(0), "Invalid environment variable", "%s cannot be the name of an environment variable: it has letters, digits and _, and does not begin with a digit.", quote(name))
		case twice:
			n.problems.add(s.labelRange(0), "Variable given twice", "%s of %s is in env as well.", name, n.title())
		}
		if c.Secrets == nil {
			c.Secrets = map[string]string{}
		}
		c.Secrets[name] = s.absolute("file")
	}
	return c
}

// absolute is a path of a host.
func (n *node) absolute(name string) string {
	p := n.str(name)
	if p != "" && !path.IsAbs(p) {
		n.problems.add(n.at(name), "Path is not absolute", "The argument %s of %s is a path on the host, and begins with a slash.", name, n.title())
	}
	return p
}

// memory is a size of memory; 0 when it is not given. No program starts with less
// than a MiB.
func (n *node) memory(name string) int64 { return n.bytes(name, 1<<20, 1<<62) }

// bytes is a size; 0 when it is not given.
func (n *node) bytes(name string, least, most int64) int64 {
	text := n.str(name)
	if text == "" {
		return 0
	}
	size, ok := parseSize(text, map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30})
	if !ok || size < least || size > most {
		bounds := "at least " + FormatMemory(least)
		if most < 1<<62 {
			bounds += " and at most " + FormatMemory(most)
		}
		n.problems.add(n.at(name), "Invalid size", "The argument %s of %s cannot be %s: write a whole number and KiB, MiB or GiB, such as \"256MiB\", and %s.", name, n.title(), quote(text), bounds)
		return 0
	}
	return size
}

// share is a number of processors; 0 when it is not given.
func (n *node) share(name string) float64 {
	v, ok := n.shown(name, cty.Number)
	if !ok {
		return 0
	}
	f, _ := v.AsBigFloat().Float64()
	if f < 0.01 || f > 1024 {
		n.problems.add(n.at(name), "Number out of range", "The argument %s of %s is a number from 0.01 to 1024.", name, n.title())
		return 0
	}
	return f
}

// FormatMemory is a size as the language writes it: "256MiB".
func FormatMemory(size int64) string {
	for _, unit := range []struct {
		name string
		of   int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}} {
		if size%unit.of == 0 {
			return strconv.FormatInt(size/unit.of, 10) + unit.name
		}
	}
	return strconv.FormatInt(size>>10, 10) + "KiB"
}
