package spec

// order is the relation "comes before" between changes, transitive.
type order struct {
	changes []*Change
	index   map[*Change]int
	earlier []bitset // by change, once closed
}

func newOrder(list []declared[*Change]) *order {
	o := &order{index: map[*Change]int{}}
	for i, d := range list {
		o.changes = append(o.changes, d.item)
		o.index[d.item] = i
	}
	return o
}

// before tells whether a comes before b.
func (o *order) before(a, b *Change) bool { return o.earlier[o.index[b]].has(o.index[a]) }

// edge is one entry of a change's after list.
type edge struct {
	from  *Change
	entry int
}

// Marks of the depth-first search for cycles.
const (
	unseen = iota
	open
	done
)

// cycle is a way from a change to itself, or nil. The search keeps its own
// stack: a chain may be longer than is good for recursion.
func (o *order) cycle() []edge {
	marks := make([]int, len(o.changes))
	for i := range o.changes {
		if path := o.search(i, marks); path != nil {
			return path
		}
	}
	return nil
}

func (o *order) search(start int, marks []int) []edge {
	if marks[start] != unseen {
		return nil
	}
	marks[start] = open
	path := []edge{{o.changes[start], 0}}
	for len(path) > 0 {
		top := &path[len(path)-1]
		if top.entry == len(top.from.After) {
			marks[o.index[top.from]] = done
			path = path[:len(path)-1]
			continue
		}
		next := top.from.After[top.entry]
		switch marks[o.index[next]] {
		case open:
			return upTo(path, next)
		case unseen:
			marks[o.index[next]] = open
			path = append(path, edge{next, 0})
			continue
		}
		top.entry++
	}
	return nil
}

// upTo is the end of a path, from the given change on.
func upTo(path []edge, c *Change) []edge {
	for i, e := range path {
		if e.from == c {
			return path[i:]
		}
	}
	return path
}

// close computes what comes before each change. There must be no cycle.
func (o *order) close() {
	o.earlier = make([]bitset, len(o.changes))
	for _, c := range o.sorted() {
		set := newBitset(len(o.changes))
		for _, a := range c.After {
			i := o.index[a]
			set.add(i)
			set.union(o.earlier[i])
		}
		o.earlier[o.index[c]] = set
	}
}

// sorted are the changes, each after those that come before it.
func (o *order) sorted() []*Change {
	waiting := make([]int, len(o.changes))
	later := make([][]int, len(o.changes))
	var ready []int
	for i, c := range o.changes {
		waiting[i] = len(c.After)
		for _, a := range c.After {
			later[o.index[a]] = append(later[o.index[a]], i)
		}
		if len(c.After) == 0 {
			ready = append(ready, i)
		}
	}
	var list []*Change
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		list = append(list, o.changes[i])
		for _, j := range later[i] {
			if waiting[j]--; waiting[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	return list
}

// changeCycle reports a cycle edge by edge.
func (l *loader) changeCycle(cycle []edge) {
	var places Related
	text := ""
	for _, e := range cycle {
		places = append(places, Place{l.afterAt[e.from][e.entry], string(e.from.Address()) + " comes after " + string(e.from.After[e.entry].Address())})
		text += string(e.from.Address()) + " → "
	}
	l.addRelated(places[0].Range, places[1:], "Cycle of changes", "%s%s. Each comes after the next, so none can be first.", text, cycle[0].from.Address())
}

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) union(other bitset) {
	for i, word := range other {
		b[i] |= word
	}
}
