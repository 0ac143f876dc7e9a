package migrations_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"

	"pleat/migrations"
	"pleat/spec"
)

var users = spec.ParseTable("users")

func splitName() *spec.Change {
	return &spec.Change{
		Name: "split_name",
		Expand: []spec.Operation{
			&spec.AddColumn{Table: users, Column: spec.Column{Name: "first", Type: "text"}},
			&spec.AddColumn{Table: users, Column: spec.Column{Name: "last", Type: "text"}},
			&spec.Sync{
				Table:    users,
				Forward:  map[string]string{"first": "split_part(name, ' ', 1)", "last": "split_part(name, ' ', 2)"},
				Backward: map[string]string{"name": "concat_ws(' ', first, last)"},
			},
			&spec.SQL{Label: "note", Up: "comment on table users is 'people'"},
			&spec.CreateIndex{Name: "by_last", Table: users, Columns: []string{"last"}},
		},
		Backfills: []*spec.Backfill{{Table: users}},
		Verifies:  []*spec.Verify{{Name: "agree", SQL: "select 1 where false"}},
		Contract: &spec.Contract{Operations: []spec.Operation{
			&spec.DropColumn{Table: users, Column: "name", Hide: time.Hour},
			&spec.DropIndex{Schema: "public", Name: "by_name"},
			&spec.DropTable{Table: spec.ParseTable("old_users"), Hide: time.Hour},
		}},
	}
}

func live() *migrations.Catalog {
	return &migrations.Catalog{Tables: map[string]*migrations.Table{
		"users": {
			Columns:    []migrations.Column{{Name: "id", Type: "bigint", NotNull: true}, {Name: "name", Type: "text", NotNull: true}},
			PrimaryKey: []string{"id"},
			Indexes:    []migrations.Index{{Name: "by_name", Definition: "CREATE INDEX by_name ON public.users USING btree (name)", Valid: true}},
		},
		"old_users": {Columns: []migrations.Column{{Name: "id", Type: "bigint"}}},
	}}
}

func lower(t *testing.T, c *spec.Change, cat *migrations.Catalog) *migrations.Program {
	t.Helper()
	p, diags := migrations.Lower(c, cat)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// recorded is what pleat's tables say of the change in that phase.
func recorded(p *migrations.Program, phase migrations.Phase) migrations.Recorded {
	r := migrations.Recorded{Phase: phase, Digest: p.Digest, Units: map[string]bool{}}
	for _, u := range p.Expand {
		r.Units[u.ID] = phase != migrations.Absent
	}
	return r
}

var phases = []migrations.Phase{
	migrations.Absent, migrations.Expanded, migrations.Backfilled, migrations.Verified, migrations.Hidden, migrations.Contracted,
}

// From any phase to any other: the catalog that is projected is the one in
// which the change is in that phase.
func TestProjectionIsInThePhaseThatItWasMadeFor(t *testing.T) {
	c := splitName()
	for _, from := range phases {
		start := migrations.Project(live(), lower(t, c, live()), from)
		for _, to := range phases {
			p := lower(t, c, start)
			before, _ := p.Phase(recorded(p, from))
			got := lower(t, c, migrations.Project(start, p, to))
			phase, drift := got.Phase(recorded(got, to))
			if before != from || phase != to || len(drift) > 0 {
				t.Errorf("from %s (taken for %s) to %s: taken for %s, drift %q", from, before, to, phase, drift)
			}
			// What is taken away shows in the catalog, whatever is recorded.
			if seen, _ := got.Phase(recorded(got, migrations.Verified)); to.AtLeast(migrations.Hidden) && seen != to {
				t.Errorf("from %s to %s: the catalog alone is taken for %s", from, to, seen)
			}
		}
	}
}

func TestProjectionLeavesTheCatalogAlone(t *testing.T) {
	cat := live()
	migrations.Project(cat, lower(t, splitName(), cat), migrations.Contracted)
	if diff := cmp.Diff(live(), cat); diff != "" {
		t.Errorf("the catalog was changed (-was +is):\n%s", diff)
	}
}

// A change is lowered against the world without those after it.
func TestAnEarlierChangeIsSeenThroughALaterOneThatIsContracted(t *testing.T) {
	first := &spec.Change{Name: "first", Expand: []spec.Operation{
		&spec.CreateTable{Table: users, Columns: []spec.Column{{Name: "id", Type: "bigint"}}, PrimaryKey: []string{"id"}},
		&spec.AddColumn{Table: users, Column: spec.Column{Name: "name", Type: "text"}},
	}}
	later := &spec.Change{Name: "later", Contract: &spec.Contract{Operations: []spec.Operation{
		&spec.DropColumn{Table: users, Column: "name"},
	}}}
	gone := &spec.Change{Name: "gone", Contract: &spec.Contract{Operations: []spec.Operation{&spec.DropTable{Table: users}}}}
	for _, c := range []*spec.Change{later, gone} {
		cat := migrations.Project(migrations.Project(nil, lower(t, first, nil), migrations.Expanded), lower(t, later, live()), migrations.Absent)
		cat = migrations.Project(cat, lower(t, c, cat), migrations.Contracted)
		back := migrations.Project(cat, lower(t, c, cat), migrations.Absent)
		p := lower(t, first, back)
		if phase, drift := p.Phase(recorded(p, migrations.Expanded)); phase != migrations.Expanded || len(drift) > 0 {
			t.Errorf("behind %s: %s, drift %q", c.Name, phase, drift)
		}
	}
}

func TestPhaseBelievesTheCatalogBeforeTheRecord(t *testing.T) {
	c := splitName()
	at := func(phase migrations.Phase) *migrations.Catalog {
		return migrations.Project(live(), lower(t, c, live()), phase)
	}
	without := func(cat *migrations.Catalog, column string) *migrations.Catalog {
		var kept []migrations.Column
		for _, c := range cat.Tables["users"].Columns {
			if c.Name != column {
				kept = append(kept, c)
			}
		}
		cat.Tables["users"].Columns = kept
		return cat
	}
	noTrigger := at(migrations.Expanded)
	noTrigger.Tables["users"].Triggers = nil
	otherTrigger := at(migrations.Expanded)
	otherTrigger.Tables["users"].Triggers[0].Comment = "pleat:split_name:0123456789abcdef"
	invalid := at(migrations.Expanded)
	invalid.Tables["users"].Indexes[1].Valid = false

	const is = ", and change split_name is recorded as "
	tests := []struct {
		name     string
		cat      *migrations.Catalog
		recorded migrations.Phase
		other    bool // the record is of another text of the change
		want     migrations.Phase
		drift    []string
	}{
		{name: "nothing recorded, nothing there", cat: live(), want: migrations.Absent},
		{name: "nothing recorded, all there", cat: at(migrations.Expanded), want: migrations.Absent},
		{name: "recorded as verified, of another text", cat: at(migrations.Verified), recorded: migrations.Verified, other: true, want: migrations.Expanded},
		{name: "a column is gone", cat: without(at(migrations.Verified), "last"), recorded: migrations.Verified, want: migrations.Absent,
			drift: []string{"column users.last is missing" + is + "verified"}},
		{name: "the trigger is gone", cat: noTrigger, recorded: migrations.Backfilled, want: migrations.Absent,
			drift: []string{"trigger zzz_pleat_split_name on users is missing" + is + "backfilled"}},
		{name: "the trigger does something else", cat: otherTrigger, recorded: migrations.Backfilled, want: migrations.Absent,
			drift: []string{"trigger zzz_pleat_split_name on users is missing" + is + "backfilled"}},
		{name: "the index is invalid", cat: invalid, recorded: migrations.Expanded, want: migrations.Absent,
			drift: []string{"index by_last is missing" + is + "expanded"}},
		{name: "recorded as hidden, nothing is", cat: at(migrations.Verified), recorded: migrations.Hidden, want: migrations.Hidden,
			drift: []string{"column users.name is not hidden" + is + "hidden", "table old_users is not hidden" + is + "hidden"}},
		{name: "recorded as contracted, all there again", cat: at(migrations.Verified), recorded: migrations.Contracted, want: migrations.Contracted,
			drift: []string{"column users.name is still there" + is + "contracted", "index by_name is still there" + is + "contracted", "table old_users is still there" + is + "contracted"}},
		{name: "recorded as contracted, of another text", cat: at(migrations.Verified), recorded: migrations.Contracted, other: true, want: migrations.Expanded},
		{name: "recorded as contracted, only hidden", cat: at(migrations.Hidden), recorded: migrations.Contracted, want: migrations.Contracted,
			drift: []string{"column users.name is still there" + is + "contracted", "index by_name is still there" + is + "contracted", "table old_users is still there" + is + "contracted"}},
		{name: "gone behind pleat's back", cat: at(migrations.Contracted), recorded: migrations.Verified, want: migrations.Contracted,
			drift: []string{"users.name is gone" + is + "verified", "index by_name is gone" + is + "verified", "table old_users is gone" + is + "verified"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := lower(t, c, test.cat)
			r := recorded(p, test.recorded)
			if test.recorded == "" {
				r = migrations.Recorded{}
			}
			if test.other {
				r.Digest = "another"
			}
			phase, drift := p.Phase(r)
			if phase != test.want {
				t.Errorf("phase is %s, want %s", phase, test.want)
			}
			if diff := cmp.Diff(test.drift, drift); diff != "" {
				t.Errorf("drift (-want +got):\n%s", diff)
			}
		})
	}
}

// An index that the author drops is built again as it was.
func TestUnits(t *testing.T) {
	p := lower(t, splitName(), live())
	var got []string
	for _, units := range [][]migrations.Unit{p.Expand, p.Hide, p.Drop} {
		for _, u := range units {
			got = append(got, u.ID+" | "+u.Title+" | "+string(u.Lock)+" | "+u.UndoTitle+" | "+u.Loses)
		}
	}
	want := []string{
		"expand.users | users.first, users.last | ACCESS EXCLUSIVE | drop columns | what was written to users.first, users.last",
		"sync.users | users: name <-> first, last | SHARE ROW EXCLUSIVE | drop trigger | ",
		"expand.sql.note.d954525b | sql note |  |  | ",
		"index.by_last | index by_last on users | SHARE UPDATE EXCLUSIVE | drop index | ",
		"hide.users | users.name | ACCESS EXCLUSIVE | un-hide | ",
		"hide.old_users | table old_users | ACCESS EXCLUSIVE | un-hide | ",
		"drop.users | users.name | ACCESS EXCLUSIVE |  | what is in users.name",
		"drop.index.by_name | index by_name | SHARE UPDATE EXCLUSIVE | build it again | ",
		"drop.old_users | table old_users | ACCESS EXCLUSIVE |  | every row of old_users",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
	if want := `ALTER TABLE "public"."users" ADD COLUMN "first" text, ADD COLUMN "last" text`; p.Expand[0].Statements[0] != want {
		t.Errorf("got %s, want %s", p.Expand[0].Statements[0], want)
	}
	if got, want := p.Drop[1].Undo[0], "CREATE INDEX CONCURRENTLY by_name ON public.users USING btree (name)"; got != want {
		t.Errorf("undo of drop_index is %s, want %s", got, want)
	}
	if p.Drop[0].HideFor != time.Hour || p.Drop[0].Undo != nil {
		t.Errorf("drop of users.name waits %s and has undo %q", p.Drop[0].HideFor, p.Drop[0].Undo)
	}
}

func TestDigestIsOfWhatIsDone(t *testing.T) {
	same := splitName()
	same.Range = hcl.Range{Filename: "elsewhere"}
	same.Expand[0].(*spec.AddColumn).Range = hcl.Range{Filename: "elsewhere"}
	same.Backfills[0].Batch = 9
	same.Contract.Soak = time.Minute
	same.Contract.Operations[0].(*spec.DropColumn).Hide = 0
	if migrations.Digest(same) != migrations.Digest(splitName()) {
		t.Error("place, time and batch size changed the digest")
	}
	for name, edit := range map[string]func(c *spec.Change){
		"type":       func(c *spec.Change) { c.Expand[0].(*spec.AddColumn).Column.Type = "varchar" },
		"expression": func(c *spec.Change) { c.Expand[2].(*spec.Sync).Forward["first"] = "name" },
		"verify":     func(c *spec.Change) { c.Verifies[0].SQL = "select 2" },
		"backfill":   func(c *spec.Change) { c.Backfills[0].Set = map[string]string{"first": "name"} },
		"contract":   func(c *spec.Change) { c.Contract = nil },
		"order":      func(c *spec.Change) { c.Expand[0], c.Expand[1] = c.Expand[1], c.Expand[0] },
	} {
		c := splitName()
		edit(c)
		if migrations.Digest(c) == migrations.Digest(splitName()) {
			t.Errorf("another %s left the digest as it was", name)
		}
	}
}

// Without its definition there is no way back to a trigger that is replaced.
func TestATriggerThatCannotBePutBackHasNoUndo(t *testing.T) {
	cat := migrations.Project(live(), lower(t, splitName(), live()), migrations.Expanded)
	cat.Table(spec.ParseTable("users")).Triggers[0].Function = ""
	edited := splitName()
	edited.Expand[2].(*spec.Sync).Forward["first"] = "name"
	for _, u := range lower(t, edited, cat).Expand {
		if u.ID == "sync.users" && (u.Applied || u.Undo != nil || u.Whole().Undo == nil) {
			t.Errorf("applied %t, undo %q, whole %q", u.Applied, u.Undo, u.Whole().Undo)
		}
	}
}
