package migrations

import "strings"

// Effect is what of a statement a catalog shows. The zero value: nothing.
type Effect struct {
	Kind  EffectKind
	Table string // as the statement names it; "" where it does not
	Name  string // of the object, as the statement names it
	// Concurrently says that it allows no transaction, and so may leave
	// something behind.
	Concurrently bool
}

// EffectKind is the kind of an effect.
type EffectKind string

// The kinds of effect.
const (
	MakesTable        EffectKind = "create_table"
	TakesTable        EffectKind = "drop_table"
	MakesColumn       EffectKind = "add_column"
	TakesColumn       EffectKind = "drop_column"
	MakesIndex        EffectKind = "create_index"
	TakesIndex        EffectKind = "drop_index"
	MakesType         EffectKind = "create_type"
	MakesConstraint   EffectKind = "add_constraint"
	RemakesIndex      EffectKind = "reindex_index"
	RemakesIndexes    EffectKind = "reindex_table"
	DetachesPartition EffectKind = "detach_partition" // Table: the parent, Name: the partition
	// Repeatable is a statement of which a second time does no harm.
	Repeatable EffectKind = "repeatable"
)

// Settles tells whether the catalog says what became of a statement that was
// sent, or it may be sent again in any case.
func (e Effect) Settles() bool {
	switch e.Kind {
	case MakesIndex, TakesIndex, RemakesIndex, RemakesIndexes, DetachesPartition:
		return e.Name != ""
	case Repeatable:
		return true
	}
	return false
}

// effect tells from a statement's text what the catalog shows of it.
func (s statement) effect() Effect {
	e := (&reader{tokens: s.tokens}).statement()
	e.Concurrently = s.has("concurrently")
	return e
}

// reader reads a statement from its start.
type reader struct {
	tokens []token
	at     int
}

// skip passes over the words if they come next, in that order.
func (r *reader) skip(list ...string) bool {
	for i, w := range list {
		if r.at+i >= len(r.tokens) || r.tokens[r.at+i].kind != wordToken || r.tokens[r.at+i].text != w {
			return false
		}
	}
	r.at += len(list)
	return true
}

// any passes over each of the words that comes next.
func (r *reader) any(list ...string) {
	for i := 0; i < len(list); i++ {
		if r.skip(list[i]) {
			i = -1
		}
	}
}

// parentheses passes over what is between them, if they come next.
func (r *reader) parentheses() {
	for depth := 0; r.at < len(r.tokens); r.at++ {
		switch r.tokens[r.at].text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 {
			if r.tokens[r.at].text == ")" {
				r.at++
			}
			return
		}
	}
}

// between is the text of what is in parentheses, with them, and passes over it;
// "" where none come.
func (r *reader) between(text string) string {
	start := r.at
	if r.parentheses(); r.at == start {
		return ""
	}
	return text[r.tokens[start].start:r.tokens[r.at-1].end]
}

// name reads a name, with its schema where it has one; "" where none comes.
func (r *reader) name() string {
	var parts []string
	for r.at < len(r.tokens) {
		t := r.tokens[r.at]
		if t.kind != wordToken && (t.kind != quotedToken || t.text[0] != '"') {
			break
		}
		parts = append(parts, t.text)
		r.at++
		if r.at >= len(r.tokens) || r.tokens[r.at].text != "." {
			break
		}
		r.at++
	}
	return strings.Join(parts, ".")
}

func (r *reader) ifExists() { r.any("if", "not", "exists") }

func (r *reader) statement() Effect {
	switch {
	case r.skip("create"):
		return r.create()
	case r.skip("drop", "index"):
		r.skip("concurrently")
		r.ifExists()
		return Effect{Kind: TakesIndex, Name: r.name()}
	case r.skip("drop", "table"):
		r.ifExists()
		return Effect{Kind: TakesTable, Name: r.name()}
	case r.skip("alter", "table"):
		return r.alterTable()
	case r.skip("reindex"):
		return r.reindex()
	case r.skip("vacuum"), r.skip("analyze"), r.skip("checkpoint"), r.skip("cluster"), r.skip("alter", "system"), r.skip("refresh"):
		return Effect{Kind: Repeatable}
	}
	return Effect{}
}

func (r *reader) create() Effect {
	r.any("or", "replace", "global", "local", "temp", "temporary", "unlogged", "unique")
	switch {
	case r.skip("table"):
		r.ifExists()
		return Effect{Kind: MakesTable, Name: r.name()}
	case r.skip("type"):
		return Effect{Kind: MakesType, Name: r.name()}
	case r.skip("index"):
		return r.createIndex()
	}
	return Effect{}
}

func (r *reader) createIndex() Effect {
	e := Effect{Kind: MakesIndex}
	r.skip("concurrently")
	r.ifExists()
	if !r.skip("on") {
		e.Name = r.name()
		r.skip("on")
	}
	r.any("only")
	e.Table = r.name()
	return e
}

func (r *reader) alterTable() Effect {
	r.ifExists()
	r.any("only")
	e := Effect{Table: r.name()}
	switch {
	case r.skip("detach", "partition"):
		e.Kind, e.Name = DetachesPartition, r.name()
	case r.skip("add", "constraint"):
		e.Kind, e.Name = MakesConstraint, r.name()
	case r.skip("add", "check"), r.skip("add", "primary"), r.skip("add", "unique"), r.skip("add", "foreign"), r.skip("add", "exclude"):
	case r.skip("add"):
		r.any("column")
		r.ifExists()
		e.Kind, e.Name = MakesColumn, r.name()
	case r.skip("drop", "constraint"):
	case r.skip("drop"):
		r.any("column")
		r.ifExists()
		e.Kind, e.Name = TakesColumn, r.name()
	}
	return e
}

func (r *reader) reindex() Effect {
	r.parentheses()
	switch {
	case r.skip("index"):
		r.any("concurrently")
		return Effect{Kind: RemakesIndex, Name: r.name()}
	case r.skip("table"):
		r.any("concurrently")
		return Effect{Kind: RemakesIndexes, Name: r.name()}
	}
	return Effect{Kind: Repeatable}
}
