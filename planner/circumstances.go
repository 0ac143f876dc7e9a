package planner

import (
	"fmt"
	"strings"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// Circumstances are what of a database may slow or stop a plan and decides
// nothing in it: sizes, ages, rights, room. None of it is in the fingerprint or
// the read set. What could not be read is in Unseen, and taken for nothing else.
type Circumstances struct {
	Version int    `json:"version,omitempty"` // server_version_num
	User    string `json:"user"`              // who looked
	Role    string `json:"role"`              // who changes tables: the database's role, or the user
	// Unverified is the other host that is spoken to without TLS, or without looking
	// which server answers; "" where there is none.
	Unverified string `json:"unverified,omitempty"`
	// Becomes says whether the user may take the role on.
	Becomes bool `json:"becomes"`
	// Creates says whether the role may make schemas in the database, Installs
	// whether the user may make pleat's own, or that is there; nil: unknown.
	Creates  *bool `json:"creates,omitempty"`
	Installs *bool `json:"installs,omitempty"`
	// Schemas says whether the role may make objects there, by name. pleat's own
	// is among them once it is there.
	Schemas      map[string]bool              `json:"schemas,omitempty"`
	Tables       map[string]TableCircumstance `json:"tables,omitempty"` // by spec.Table's text
	Transactions []OpenTransaction            `json:"transactions,omitempty"`
	Slots        []Slot                       `json:"slots,omitempty"`
	SlotsLimited bool                         `json:"slots_limited,omitempty"` // by max_slot_wal_keep_size
	Connections  *int                         `json:"connections,omitempty"`   // that are free
	Disk         *int64                       `json:"disk,omitempty"`          // bytes that are free; nil: unknown
	// Functions are those that may use one of the tables.
	Functions []Function `json:"functions,omitempty"`
	// Statements says whether statements that were run are counted.
	Statements StatementsView `json:"statements,omitempty"`
	Unseen     []string       `json:"unseen,omitempty"` // sentences
}

// TableCircumstance is what surrounds a table.
type TableCircumstance struct {
	Owner      string              `json:"owner"`
	Owned      bool                `json:"owned"`            // by the role, or by one that it is a member of
	Written    bool                `json:"written"`          // the role may read and write it
	Vacuum     string              `json:"vacuum,omitempty"` // the autovacuum that works on it: "autovacuum (to prevent wraparound)"
	Identified bool                `json:"identified"`       // rows can be told apart by subscribers
	Subscribed bool                `json:"subscribed,omitempty"`
	Policed    bool                `json:"policed,omitempty"`  // policies choose which rows the role sees
	Listed     map[string][]string `json:"listed,omitempty"`   // columns that publications list, by publication
	Filtered   map[string][]string `json:"filtered,omitempty"` // columns that publications choose rows by and do not list
}

// OpenTransaction is one that began a while ago.
type OpenTransaction struct {
	Application string        `json:"application"`
	PID         int           `json:"pid"`
	State       string        `json:"state"`
	Age         time.Duration `json:"age_ns"`
	Snapshot    bool          `json:"snapshot,omitempty"` // a concurrent index build waits for its end
	Tables      []string      `json:"tables,omitempty"`   // that it holds locks on, as spec.Table's text
}

// Slot is a replication slot that holds WAL, and that nobody reads or that is lost
// when it falls behind.
type Slot struct {
	Name   string `json:"name"`
	Held   int64  `json:"held"`             // bytes
	Active bool   `json:"active,omitempty"` // somebody reads it
	Safe   *int64 `json:"safe,omitempty"`   // bytes that may be written before it is lost; nil: it is kept
}

// remarks are what a reader should know before the steps that run now: only
// what concerns one of them.
func (p *Plan) remarks(st *State) []string {
	var out []string
	for _, name := range sortedKeys(st.Databases) {
		db := st.Databases[name]
		if db == nil || db.Circumstances == nil {
			continue
		}
		v := &view{plan: p, db: db, at: databaseAddress(name)}
		if host := db.Circumstances.Unverified; host != "" && !p.Empty() {
			out = append(out, fmt.Sprintf("%s: %s", v.at, UnverifiedHost(host)))
		}
		if len(v.steps()) == 0 {
			continue
		}
		for _, o := range Obstacles(p, &State{Databases: map[string]*Database{name: db}}) {
			out = append(out, "as it is now, apply would be refused: "+o.Text)
		}
		out = append(out, v.sizes()...)
		out = append(out, v.fired()...)
		out = append(out, v.waits()...)
		out = append(out, v.slots()...)
		for _, unseen := range db.Circumstances.Unseen {
			out = append(out, fmt.Sprintf("%s: %s", v.at, unseen))
		}
	}
	return out
}

// UnverifiedHost says of a host of Circumstances.Unverified what that means, and what
// to do.
func UnverifiedHost(host string) string {
	return fmt.Sprintf("sessions with %s may be without TLS, or with another server: whoever is between can read the password and all rows; sslmode=verify-full in the url has them encrypted, and the server known", host)
}

// view is a plan seen from one database.
type view struct {
	plan *Plan
	db   *Database
	at   spec.Address
}

// numbered is a step with the number that the plan shows.
type numbered struct {
	Step
	number int
}

// steps are those on the database that run now.
func (v *view) steps() []numbered {
	var out []numbered
	n := 0
	for _, s := range v.plan.Steps {
		if s.Kind == KindCheckpoint {
			continue
		}
		n++
		if s.Deferred == "" && s.Action.Provider() == v.at {
			out = append(out, numbered{s, n})
		}
	}
	return out
}

// large is the size from which a table's is worth a line.
const large = 100 << 20

// sizes says of large tables how much the steps will write.
func (v *view) sizes() []string {
	var out []string
	for _, s := range v.steps() {
		t := v.table(s)
		if t == nil || t.Bytes < large {
			continue
		}
		about := fmt.Sprintf("%s: %s, about %s rows", s.Table, sized(t.Bytes), thousands(t.Rows))
		switch s.Action.(type) {
		case *Backfill:
			out = append(out, fmt.Sprintf("%s; its back-fill (step %d) writes about %s of WAL", about, s.number, sized(written(s.Step, t))))
		case *BuildIndex:
			out = append(out, fmt.Sprintf("%s; the index of step %d takes about %s", about, s.number, sized(written(s.Step, t))))
		}
	}
	return out
}

// fired says which triggers the rows of back-fills fire, such as one that notes when a
// row was changed.
func (v *view) fired() []string {
	var out []string
	for _, s := range v.steps() {
		a, fills := s.Action.(*Backfill)
		t := v.table(s)
		if !fills || t == nil {
			continue
		}
		var columns, names []string
		for _, set := range a.Set {
			columns = append(columns, set.Column)
		}
		for _, g := range t.Triggers {
			if g.FiredByUpdate(columns) {
				names = append(names, g.Name)
			}
		}
		if len(names) > 0 {
			out = append(out, fmt.Sprintf("%s: each row that the back-fill (step %d) writes fires the trigger %s, as any UPDATE", s.Table, s.number, strings.Join(names, " and the trigger ")))
		}
	}
	return out
}

func (v *view) table(s numbered) *migrations.Table {
	if s.Table == "" || v.db.Catalog == nil {
		return nil
	}
	return v.db.Catalog.Tables[s.Table]
}

// entry is about how much of an index a row takes.
const entry = 40

// written is about how much a step writes: each row once more, or each row's
// entry in the index.
func written(s Step, t *migrations.Table) int64 {
	if t == nil {
		return 0
	}
	switch s.Action.(type) {
	case *Backfill:
		return t.Bytes + t.Bytes/10
	case *BuildIndex:
		return t.Rows * entry
	}
	return 0
}

// waits says which steps will wait for what goes on already.
func (v *view) waits() []string {
	var out []string
	for _, o := range v.db.Circumstances.Transactions {
		if steps := v.waiting(o.Tables, o.Snapshot); steps != "" {
			who := firstOf(o.Application, fmt.Sprintf("pid %d", o.PID))
			out = append(out, fmt.Sprintf("a transaction of %s is open for %s: %s for it", who, shortDuration(o.Age.Round(time.Second)), steps))
		}
	}
	for _, name := range sortedKeys(v.db.Circumstances.Tables) {
		vacuum := v.db.Circumstances.Tables[name].Vacuum
		if steps := v.waiting([]string{name}, false); vacuum != "" && steps != "" {
			out = append(out, fmt.Sprintf("%s is on %s: %s for it", vacuum, name, steps))
		}
	}
	return out
}

// waiting names the steps that ask for a strong lock on one of the tables, or
// that build an index beside a snapshot; "" where there is none.
func (v *view) waiting(tables []string, snapshot bool) string {
	locked := set(tables)
	var numbers []string
	for _, s := range v.steps() {
		_, builds := s.Action.(*BuildIndex)
		_, removes := s.Action.(*RemoveIndex)
		strong := s.Lock == migrations.AccessExclusive || s.Lock == migrations.ShareRowExclusive
		if strong && locked[s.Table] || (builds || removes) && (snapshot || locked[s.Table]) {
			numbers = append(numbers, fmt.Sprint(s.number))
		}
	}
	switch len(numbers) {
	case 0:
		return ""
	case 1:
		return "step " + numbers[0] + " waits"
	}
	return "steps " + some(numbers, ", ") + " wait"
}

// slots says which ones keep what is written.
func (v *view) slots() []string {
	if v.writes() == 0 || v.db.Circumstances.SlotsLimited {
		return nil
	}
	var out []string
	for _, s := range v.db.Circumstances.Slots {
		if s.Active {
			continue
		}
		out = append(out, fmt.Sprintf("nobody reads the replication slot %s: it holds %s of WAL, and all that is written", s.Name, sized(s.Held)))
	}
	return out
}

// writes is about how much the steps write together.
func (v *view) writes() int64 {
	var sum int64
	for _, s := range v.steps() {
		sum += written(s.Step, v.table(s))
	}
	return sum
}

// sized is a size as a person reads it: "1.2 GB".
func sized(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	size, names := float64(n)/unit, "kMGTPE"
	for size >= unit && len(names) > 1 {
		size, names = size/unit, names[1:]
	}
	return strings.Replace(fmt.Sprintf("%.1f %cB", size, names[0]), ".0 ", " ", 1)
}
