package planner_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"pleat/spec"
)

// blocks is the draft as blocks of HCL, one string each.
func (d *draft) blocks() []string {
	out := []string{
		"orchestrator \"host\" \"local\" {\n  agents = [\"unix:///run/agent.sock\"]\n}\n",
		"state {\n  url = \"postgres://state\"\n}\n",
	}
	for n := range d.databases {
		out = append(out, fmt.Sprintf("database %q {\n  url = \"postgres://%[1]s\"\n}\n", d.databaseName(n)))
	}
	for c := range d.changes {
		out = append(out, d.changeBlock(c))
	}
	for i := range d.directories {
		out = append(out, d.directoryBlock(i))
	}
	for s := range d.services {
		out = append(out, fmt.Sprintf("router \"proxy\" %q {\n  listen = \"127.0.0.1:%d\"\n}\n", d.serviceName(s), 8080+s))
		out = append(out, d.strategyBlock(s), d.serviceBlock(s))
	}
	return out
}

// page is HCL in the making.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (d *draft) changeBlock(c int) string {
	draft, p := d.changes[c], &page{}
	name, old := columnNames(c)
	p.line("change %q {\n  database = database.%s", d.changeName(c), d.databaseName(draft.database))
	if len(draft.after) > 0 {
		p.line("  after = %s", refs("change", draft.after, d.changeName))
	}
	if len(draft.absent) > 0 {
		var gone []string
		for _, a := range draft.absent {
			gone = append(gone, fmt.Sprintf("service.%s.release[%q]", d.serviceName(a.service), d.services[a.service].version(a.release)))
		}
		p.line("  requires_absent = [%s]", strings.Join(gone, ", "))
	}
	p.line("  expand {\n    add_column \"users\" %q {\n      type = \"text\"\n    }", name)
	if draft.synced {
		p.line("    sync \"users\" {\n      forward = { %s = %q }\n      backward = { %s = %q }\n    }", name, old, old, name)
	}
	p.line("  }")
	if draft.backfill {
		p.line("  backfill \"users\" {")
		if !draft.synced {
			p.line("    set = { %s = %q }", name, old)
		}
		p.line("  }")
	}
	if draft.verify {
		p.line("  verify \"agree\" {\n    sql = \"select 1\"\n  }")
	}
	if draft.contract {
		p.line("  contract {\n    soak = \"0s\"\n    drop_column \"users\" %q {\n      hide = \"0s\"\n    }\n  }", old)
	}
	p.line("}")
	return p.String()
}

func (d *draft) directoryBlock(i int) string {
	draft, p := d.directories[i], &page{}
	p.line("migrations %q {\n  database = database.%s\n  source = \"file://%[1]s\"\n  table = \"versions_%[1]s\"", d.directoryName(i), d.databaseName(draft.database))
	if draft.target < len(draft.files)-1 {
		p.line("  version = %d", draft.files[draft.target])
	}
	p.line("}")
	return p.String()
}

func (d *draft) strategyBlock(s int) string {
	draft, p := d.services[s].strategy, &page{}
	p.line("strategy %q {", d.serviceName(s))
	if draft.keep > 0 {
		p.line("  keep_previous = %q", spec.FormatDuration(draft.keep))
	}
	p.line("  %s {", draft.kind)
	switch {
	case draft.kind == spec.Canary:
		p.line("    step {\n      weight = 10\n      hold = \"1m\"\n    }\n    step {\n      weight = 50\n    }")
	case draft.batch.Percent > 0:
		p.line("    batch = \"%d%%\"\n    order = %q", draft.batch.Percent, draft.order)
	case draft.batch.Count > 0:
		p.line("    batch = %d\n    order = %q", draft.batch.Count, draft.order)
	}
	p.line("  }\n}")
	return p.String()
}

func (d *draft) serviceBlock(s int) string {
	draft, p := &d.services[s], &page{}
	p.line("service %q {\n  database = database.%s\n  router = router.proxy.%[1]s\n  strategy = strategy.%[1]s", d.serviceName(s), d.databaseName(draft.uses[0]))
	if len(draft.uses) > 1 {
		p.line("  also_uses = %s", refs("database", draft.uses[1:], d.databaseName))
	}
	if len(draft.after) > 0 {
		p.line("  after = %s", refs("service", draft.after, d.serviceName))
	}
	p.line("  release = %q\n  process \"web\" {\n    count = %d\n  }", draft.version(draft.target), draft.count)
	for bit := range draft.declared() {
		d.releaseBlock(p, draft.at(bit))
	}
	p.line("}")
	return p.String()
}

func (d *draft) releaseBlock(p *page, r *draftRelease) {
	p.line("  release %q {\n    artifact {\n      path = \"bin/app\"\n      sha256 = %q\n    }", r.version, artifactDigest(r.version))
	if len(r.ancestors) > 0 {
		p.line("    ancestors = %s", quoted(r.ancestors))
	}
	p.line("    schema = %s", refs("change", r.schema, d.changeName))
	p.line("    needs_backfill = %s", refs("change", r.needs, d.changeName))
	p.line("    tolerates = %s", refs("change", r.tolerates, d.changeName))
	if r.onStart {
		p.line("    migrate_on_start = true")
	}
	if r.stop {
		p.line("    required_stop = true")
	}
	for _, x := range r.ranges {
		p.line("    schema_version {\n      migrations = migrations.%s", d.directoryName(x.directory))
		for _, bound := range []struct {
			name  string
			value uint64
		}{{"min", x.min}, {"max", x.max}, {"ships", x.ships}} {
			if bound.value > 0 {
				p.line("      %s = %d", bound.name, bound.value)
			}
		}
		p.line("    }")
	}
	p.line("  }")
}

// print writes the draft as up to five files in any order, and the directories
// beside them.
func (d *draft) print(dir string, r *rand.Rand) error {
	blocks := d.blocks()
	r.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
	files := make([]strings.Builder, 1+r.IntN(5))
	for _, b := range blocks {
		files[r.IntN(len(files))].WriteString(b)
	}
	for n := range files {
		name := filepath.Join(dir, fmt.Sprintf("%d%s", n, spec.Suffix))
		if err := os.WriteFile(name, []byte(files[n].String()), 0o600); err != nil {
			return err
		}
	}
	for i := range d.directories {
		if err := d.printDirectory(filepath.Join(dir, d.directoryName(i)), i); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) printDirectory(dir string, i int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, v := range d.directories[i].files {
		for _, direction := range []string{"up", "down"} {
			if err := os.WriteFile(filepath.Join(dir, fileName(v, direction)), []byte(fileText(v, direction)), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
