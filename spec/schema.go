package spec

import "time"

// kind is what an argument takes. Its text is what the reference prints.
type kind string

const (
	kindAny       kind = "any value"
	kindType      kind = "type"
	kindString    kind = "string"
	kindText      kind = "string, may be sensitive"
	kindStrings   kind = "list of strings"
	kindTextMap   kind = "map of strings, may be sensitive"
	kindStringMap kind = "map of strings"
	kindCount     kind = "number"
	kindBool      kind = "bool"
	kindVersion   kind = "version"
	kindDuration  kind = "duration"
	kindBatch     kind = "number or percentage"
	kindShare     kind = "number such as `0.5`"
	kindRef       kind = "reference"
	kindRefs      kind = "list of references"
	kindKeys      kind = "map or set of strings"
)

// attribute is one argument of a block.
type attribute struct {
	name     string
	kind     kind
	required bool
	fallback string // the value where the author gives none, without quotes; "" = none
	oneOf    []string
	target   string // kindRef, kindRefs: the form of the reference
	min, max int    // kindCount
	shortest time.Duration
	longest  time.Duration
	doc      string
}

// block is one kind of block: the table by which it is decoded and documented.
type block struct {
	name          string
	labels        []string // what each label names
	optionalLabel bool     // the last label may be left out
	doc           string
	attributes    []attribute
	blocks        []*block
	variants      []*block // chosen by the first label, by name
	open          bool     // takes arguments of any name
	forEach       bool
	unique        bool // no two with the same labels in one parent
	required      bool
	single        bool     // at most one in its parent
	later         []string // part of the language, but not of this version
	misplaced     []misplaced
}

// misplaced is a block that authors write here, although it belongs elsewhere.
type misplaced struct {
	name    string
	summary string
	detail  func(labels []string) string
}

func (b *block) attribute(name string) (attribute, bool) {
	for _, a := range b.attributes {
		if a.name == name {
			return a, true
		}
	}
	if name == forEachName && b.forEach {
		return forEachArgument, true
	}
	return attribute{}, false
}

func (b *block) block(name string) *block {
	for _, c := range b.blocks {
		if c.name == name {
			return c
		}
	}
	return nil
}

// blocksWith names the blocks in b that take an argument.
func (b *block) blocksWith(argument string) []string {
	var names []string
	for _, c := range b.blocks {
		if _, takes := c.attribute(argument); takes {
			names = append(names, c.name)
		}
	}
	return names
}

// variant is the table for blocks with that first label; nil when there is none.
func (b *block) variant(label string) *block {
	for _, v := range b.variants {
		if v.name == label {
			return v
		}
	}
	return nil
}

func (b *block) attributeNames() []string {
	var names []string
	for _, a := range b.attributes {
		names = append(names, a.name)
	}
	if b.forEach {
		names = append(names, forEachName)
	}
	return names
}

func (b *block) blockNames() []string {
	var names []string
	for _, c := range b.blocks {
		names = append(names, c.name)
	}
	return names
}

const forEachName = "for_each"

var forEachArgument = attribute{
	name: forEachName, kind: kindKeys,
	doc: "Makes one block for each element; `each.key` and `each.value` are the element.",
}
