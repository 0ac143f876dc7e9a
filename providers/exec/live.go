package exec

// Instances is the result of observe of an orchestrator.
type Instances struct {
	// Which system this is, the same for ever: a plan that was made for one is not
	// applied to another.
	Identity string `json:"identity"`
	// Where instances can be, at least one.
	Hosts     []string   `json:"hosts"`
	Instances []Instance `json:"instances"`
}

// Instance is one copy of a process of a release, in any state. One that is
// stopped for good is left out.
type Instance struct {
	Service string `json:"service"`
	Release string `json:"release"`
	Process string `json:"process"`
	// PROCESS.N, unique in service and release.
	Instance string `json:"instance"`
	Host     string `json:"host"`
	// Of the artifact that it runs.
	SHA256 string `json:"sha256"`
	// `pending`, `starting`, `up`, `stopping` or `down`. One is up once each of its
	// checks passed without interruption for healthy_after_ms.
	State string `json:"state"`
	// HOST:PORT where it takes requests, for a router that is not part of the same
	// platform.
	Address string `json:"address,omitempty"`
	// `primary`, `sync` or `async`, as the instance says itself in its ${PLEAT_ROLE}
	// file.
	Role string `json:"role,omitempty"`
	// How often it was started again because it had ended by itself, until it has
	// been up for long: 5 minutes, say. `pleat status` shows it, as a crash loop from
	// 2 on.
	Restarts int `json:"restarts,omitempty"`
	// How it did the last time, such as `exit status 1`, for a person.
	Ended string `json:"ended,omitempty"`
}

// Backends is the result of observe of a router.
type Backends struct {
	// As of Instances.
	Identity string    `json:"identity"`
	Backends []Backend `json:"backends"`
	Rules    []Rule    `json:"rules,omitempty"`
	Shares   []Share   `json:"shares,omitempty"`
	Sticky   *Sticky   `json:"sticky,omitempty"`
}

// Backend is an instance that gets requests.
type Backend struct {
	Service  string `json:"service"`
	Release  string `json:"release"`
	Instance string `json:"instance"`
	// It gets no new ones.
	Draining bool `json:"draining,omitempty"`
}

// Rule sends requests with a header or a cookie to a release, as long as any of
// its instances serves. The first that fits counts.
type Rule struct {
	Header string `json:"header,omitempty"`
	Cookie string `json:"cookie,omitempty"`
	// Empty: any, but it must be there.
	Value   string `json:"value,omitempty"`
	Release string `json:"release"`
}

// Sticky keeps who comes back at his release, as far as shares allow.
type Sticky struct {
	Header string `json:"header,omitempty"`
	// That the router gives those who have none.
	Cookie string `json:"cookie,omitempty"`
}

// Share is how much of the requests the instances of a release get together.
type Share struct {
	Release string `json:"release"`
	// 0 to 100.
	Percent int `json:"percent"`
}

// NoInstances asks that no instance of these releases lives, in any state but
// down.
type NoInstances struct {
	Service string `json:"service"`
	// Empty: all but those in except.
	Versions []string `json:"versions,omitempty"`
	Except   []string `json:"except,omitempty"`
}

// HasArtifact asks whether an artifact is kept, so that it can be started again
// without its file.
type HasArtifact struct {
	Host   string `json:"host"`
	SHA256 string `json:"sha256"`
}
