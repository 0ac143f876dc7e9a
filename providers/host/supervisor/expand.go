package supervisor

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"pleat/providers/host/api"
	"pleat/spec"
)

// inherited is all that an instance sees of the agent's own environment.
var inherited = []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"}

var reference = spec.Pattern(`\$\{([^}]*)\}`)

// names are what `${…}` may name in commands and environment values.
func (i *instance) names() map[string]string {
	r, d := i.rec.Ref, i.rec.Definition
	run, _, _ := strings.Cut(i.rec.Key, "/")
	return map[string]string{
		"ADDR":           net.JoinHostPort(i.Address, strconv.Itoa(i.rec.Port)),
		"PORT":           strconv.Itoa(i.rec.Port),
		"ARTIFACT":       i.Artifacts.Path(d.SHA256),
		"PLEAT_SERVICE":  r.Service,
		"PLEAT_RELEASE":  r.Release,
		"PLEAT_PROCESS":  d.Process,
		"PLEAT_INSTANCE": r.Instance,
		"PLEAT_RUN":      run,
		"PLEAT_HANDOVER": file(i.handovers(), "", r),
		"PLEAT_ROLE":     file(i.roles(), "", r),
	}
}

// unknownError is a `${…}` that names nothing.
type unknownError struct{ name string }

// Error names it.
func (e *unknownError) Error() string { return fmt.Sprintf("${%s} is unknown", e.name) }

func expand(s string, values map[string]string) (string, error) {
	var unknown error
	out := reference().ReplaceAllStringFunc(s, func(m string) string {
		name := m[2 : len(m)-1]
		v, ok := values[name]
		if !ok && unknown == nil {
			unknown = &unknownError{name}
		}
		return v
	})
	return out, unknown
}

func expandAll(args []string, values map[string]string) ([]string, error) {
	out := make([]string, len(args))
	for n, a := range args {
		v, err := expand(a, values)
		if err != nil {
			return nil, fmt.Errorf("command: %w; known are %s", err, known(values))
		}
		out[n] = v
	}
	return out, nil
}

func expandChecks(checks []*spec.Check, values map[string]string) ([]*spec.Check, error) {
	out := make([]*spec.Check, len(checks))
	for n, c := range checks {
		argv, err := expandAll(c.Command, values)
		if err != nil {
			return nil, fmt.Errorf("%s check: %w", c.Kind, err)
		}
		expanded := *c
		expanded.Command = argv
		out[n] = &expanded
	}
	return out, nil
}

// environment is everything that an instance finds in its environment.
func environment(d api.Definition, who *person, secrets, values map[string]string) ([]string, error) {
	env := map[string]string{}
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	if who != nil {
		env["HOME"], env["USER"] = who.home, who.name
	}
	maps.Copy(env, d.DatabaseURLs)
	for name, value := range d.Env {
		v, err := expand(value, values)
		if err != nil {
			// The value may be secret, and so what is inside of it.
			return nil, fmt.Errorf("env %s: unknown ${…}; known are %s", name, known(values))
		}
		env[name] = v
	}
	maps.Copy(env, secrets)
	maps.Copy(env, values)
	out := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out, nil
}

func known(values map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(values)), ", ")
}
