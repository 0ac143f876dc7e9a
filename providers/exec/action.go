package exec

// Placed is an instance and the host that it is on.
type Placed struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
}

// Artifact is the file that a release is made of.
type Artifact struct {
	// Absolute, on the machine of pleat, which has checked that it is what the
	// release is pinned to. Left out where the file is gone and the program said
	// that it has the artifact.
	Path   string `json:"path,omitempty"`
	SHA256 string `json:"sha256"`
}

// Check asks an instance whether it can serve.
type Check struct {
	// `http`, `tcp`, `exec` or `grpc`.
	Kind string `json:"kind"`
	// (http) 200 to 399 pass.
	Path string `json:"path,omitempty"`
	// 0: the instance's own.
	Port int `json:"port,omitempty"`
	// (grpc)
	Service string `json:"service,omitempty"`
	// (exec)
	Command    []string `json:"command,omitempty"`
	IntervalMS int64    `json:"interval_ms"`
	// Of one question.
	TimeoutMS int64 `json:"timeout_ms"`
	// Failures in a row after which an instance that was up is down.
	Threshold      int   `json:"threshold"`
	HealthyAfterMS int64 `json:"healthy_after_ms"`
	// Not up by then is a failed start.
	StartTimeoutMS int64 `json:"start_timeout_ms"`
}

// Leave is how an instance leaves: timeout for requests in flight, the signal,
// and a kill after that.
type Leave struct {
	TimeoutMS   int64  `json:"timeout_ms"`
	Signal      string `json:"signal"`
	KillAfterMS int64  `json:"kill_after_ms"`
}

// Process is how instances run. A probe has no path, env and database_urls.
type Process struct {
	Artifact Artifact `json:"artifact"`
	// ${ARTIFACT}, ${ADDR}, ${PORT}, ${PLEAT_SERVICE}, ${PLEAT_RELEASE},
	// ${PLEAT_PROCESS}, ${PLEAT_INSTANCE}, ${PLEAT_RUN}, ${PLEAT_HANDOVER} and
	// ${PLEAT_ROLE} stand for what the program gives the instance, here and in env.
	// Any other is an error. The instance finds them in its environment too.
	Command []string `json:"command"`
	// Secrets in clear.
	Env map[string]string `json:"env,omitempty"`
	// By instance and variable. They are taken as they are, and win over env.
	DatabaseURLs map[string]map[string]string `json:"database_urls,omitempty"`
	Checks       []Check                      `json:"checks,omitempty"`
	// It speaks HTTP/2 without TLS.
	HTTP2       bool    `json:"http2,omitempty"`
	Leave       Leave   `json:"leave"`
	MemoryBytes int64   `json:"memory_bytes,omitempty"`
	CPU         float64 `json:"cpu,omitempty"`
	User        string  `json:"user,omitempty"`
	// Absolute.
	WorkingDirectory string `json:"working_directory,omitempty"`
	// Files of the host, by the variable that gets what is in one.
	Secrets map[string]string `json:"secrets,omitempty"`
}

// Start is done when each instance is up and runs the artifact. One that is up
// and does so already is left alone. One that does not come up in time is
// failed, and is not started again by itself.
type Start struct {
	Service    string   `json:"service"`
	Release    string   `json:"release"`
	Process    string   `json:"process"`
	Definition Process  `json:"definition"`
	Instances  []Placed `json:"instances"`
	// Starts of the step that may fail before it does.
	MaxStartFailures int `json:"max_start_failures,omitempty"`
}

// Stop is done when each instance is gone; where wait is false, when each was
// told to go. Where an instance takes longer than the step may wait, that is a
// warning and done all the same, unless exclusive is true. Where one of them is up,
// fewer than floor others of the process are, and one of release by is not, it fails,
// and nothing is changed. It also fails when, once it is done, one of release by that
// was up before is not any more. Both are unwell. With role, which instances of a
// cluster have, and one of them up, one of the process has to say that it is primary:
// one of them where role is primary, otherwise one that stays. Where role is any it
// may be one of them if one that stays says that it is sync. Else it fails, nothing is
// changed, and that is unwell, too.
type Stop struct {
	Service   string   `json:"service"`
	Release   string   `json:"release"`
	Process   string   `json:"process"`
	Leave     Leave    `json:"leave"`
	Instances []Placed `json:"instances"`
	Wait      bool     `json:"wait"`
	Exclusive bool     `json:"exclusive,omitempty"`
	Floor     int      `json:"floor,omitempty"`
	By        string   `json:"by,omitempty"`
	Role      string   `json:"role,omitempty"`
}

// Smoke is done when each instance has passed each check once, asked where it
// listens itself. A probe of it says not_done.
type Smoke struct {
	Service   string   `json:"service"`
	Release   string   `json:"release"`
	Process   string   `json:"process"`
	Instances []Placed `json:"instances"`
	Checks    []Check  `json:"checks"`
}

// Handover is done when each instance has written "RUN done" to its
// ${PLEAT_HANDOVER} file, RUN being `run`, the one that started it, or without
// that the ticket's.
type Handover struct {
	Service   string   `json:"service"`
	Release   string   `json:"release"`
	Process   string   `json:"process"`
	Instances []Placed `json:"instances"`
	Run       string   `json:"run,omitempty"`
}

// Task is done when the command of its definition has ended with 0: for each
// instance, one after the other, or for the one that has the role `of`. It runs
// once for each run, step and instance, whoever asks how often. Cancelled, it is
// killed. One with `of` that was begun for an instance stays with that, whatever role
// it has by then; where it was not begun and one of the instances is primary it is
// done without running. A probe of one with `of` that failed goes by what the instances
// are: done where one is primary, not_done where for ten seconds after its end each is
// something else, and an error where that cannot be told: what not_done is said of is
// undone, and the primary before it started again.
type Task struct {
	Service    string   `json:"service"`
	Release    string   `json:"release"`
	Task       string   `json:"task"`
	Definition Process  `json:"definition"`
	Each       bool     `json:"each,omitempty"`
	Instances  []Placed `json:"instances"`
	Of         string   `json:"of,omitempty"`
	// Of each run of the command.
	TimeoutMS int64 `json:"timeout_ms"`
}

// Roles is done when each instance is up and has said a role, and one has said
// each of want.
type Roles struct {
	Service   string   `json:"service"`
	Release   string   `json:"release"`
	Process   string   `json:"process"`
	Instances []Placed `json:"instances"`
	Want      []string `json:"want"`
}

// Attach is done when each backend gets requests.
type Attach struct {
	Service  string   `json:"service"`
	Release  string   `json:"release"`
	Process  string   `json:"process"`
	Backends []Target `json:"backends"`
	// They speak HTTP/2 without TLS.
	HTTP2 bool `json:"http2,omitempty"`
}

// Target is an instance that is up and gets requests from here on.
type Target struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
	// Where it listens, as its orchestrator says; left out where that does not.
	Address string `json:"address,omitempty"`
}

// Drain is done when the instances get no requests any more and those in flight
// are finished, or their time is over. Where fewer than floor other backends of
// the service would be left that serve, it is failed and nothing changes.
type Drain struct {
	Service   string   `json:"service"`
	Release   string   `json:"release"`
	Process   string   `json:"process"`
	Instances []Placed `json:"instances"`
	TimeoutMS int64    `json:"timeout_ms"`
	Floor     int      `json:"floor"`
}

// Weigh is done when requests are spread so, as a whole. Without shares every
// instance gets the same. Where fewer than floor serving instances would get
// requests, it is failed and nothing changes.
type Weigh struct {
	Service string  `json:"service"`
	Release string  `json:"release"`
	Rules   []Rule  `json:"rules,omitempty"`
	Shares  []Share `json:"shares,omitempty"`
	Sticky  *Sticky `json:"sticky,omitempty"`
	Floor   int     `json:"floor,omitempty"`
}

// HoldTraffic is done when new requests of the service are kept waiting, for at
// most that long however the run goes on; 0 lets go of them. A probe of it says
// not_done.
type HoldTraffic struct {
	Service string `json:"service"`
	ForMS   int64  `json:"for_ms"`
}
