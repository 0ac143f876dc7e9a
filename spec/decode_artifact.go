package spec

import (
	"path/filepath"
	"strings"
)

var digestForm = Pattern(`^[0-9a-fA-F]{64}$`)

func (l *loader) artifact(n *node) Artifact {
	if n == nil {
		return Artifact{}
	}
	a := Artifact{Path: n.str("path"), SHA256: strings.ToLower(n.str("sha256")), Range: n.rng()}
	if filepath.IsAbs(a.Path) {
		l.add(n.at("path"), "Absolute path", "The artifact's path is relative to the spec, so that the plan is the same on any machine.")
	}
	if a.SHA256 != "" && !digestForm().MatchString(a.SHA256) {
		l.add(n.at("sha256"), "Release not pinned", "%s is not a SHA-256: 64 hexadecimal digits. A tag or version can mean another program tomorrow than it did in review. Write the output of sha256sum, or filesha256(%s).",
			quote(a.SHA256), quote(a.Path))
		a.SHA256 = ""
	}
	return a
}
