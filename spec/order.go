package spec

import "github.com/hashicorp/hcl/v2"

// addressed is a thing that others may come after.
type addressed interface {
	comparable
	Address() Address
}

// order is the relation "comes before" between changes or services, transitive.
type order[T addressed] struct {
	items   []T
	index   map[T]int
	after   func(T) []T
	earlier []bitset // by item, once closed
}

func newOrder[T addressed](list []declared[T], after func(T) []T) *order[T] {
	o := &order[T]{index: map[T]int{}, after: after}
	for i, d := range list {
		o.items = append(o.items, d.item)
		o.index[d.item] = i
	}
	return o
}

// before tells whether a comes before b.
func (o *order[T]) before(a, b T) bool { return o.earlier[o.index[b]].has(o.index[a]) }

// edge is one entry of an item's after list.
type edge[T any] struct {
	from  T
	entry int
}

// Marks of the depth-first search for cycles.
const (
	unseen = iota
	open
	done
)

// cycle is a way from an item to itself, or nil. The search keeps its own
// stack: a chain may be longer than is good for recursion.
func (o *order[T]) cycle() []edge[T] {
	marks := make([]int, len(o.items))
	for i := range o.items {
		if path := o.search(i, marks); path != nil {
			return path
		}
	}
	return nil
}

func (o *order[T]) search(start int, marks []int) []edge[T] {
	if marks[start] != unseen {
		return nil
	}
	marks[start] = open
	path := []edge[T]{{o.items[start], 0}}
	for len(path) > 0 {
		top := &path[len(path)-1]
		after := o.after(top.from)
		if top.entry == len(after) {
			marks[o.index[top.from]] = done
			path = path[:len(path)-1]
			continue
		}
		next := after[top.entry]
		switch marks[o.index[next]] {
		case open:
			return upTo(path, next)
		case unseen:
			marks[o.index[next]] = open
			path = append(path, edge[T]{next, 0})
			continue
		}
		top.entry++
	}
	return nil
}

// upTo is the end of a path, from the given item on.
func upTo[T comparable](path []edge[T], item T) []edge[T] {
	for i, e := range path {
		if e.from == item {
			return path[i:]
		}
	}
	return path
}

// close computes what comes before each item. There must be no cycle.
func (o *order[T]) close() {
	o.earlier = make([]bitset, len(o.items))
	for _, item := range o.sorted() {
		set := newBitset(len(o.items))
		for _, a := range o.after(item) {
			i := o.index[a]
			set.add(i)
			set.union(o.earlier[i])
		}
		o.earlier[o.index[item]] = set
	}
}

// sorted are the items, each after those that come before it.
func (o *order[T]) sorted() []T {
	waiting := make([]int, len(o.items))
	later := make([][]int, len(o.items))
	var ready []int
	for i, item := range o.items {
		after := o.after(item)
		waiting[i] = len(after)
		for _, a := range after {
			later[o.index[a]] = append(later[o.index[a]], i)
		}
		if len(after) == 0 {
			ready = append(ready, i)
		}
	}
	var list []T
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		list = append(list, o.items[i])
		for _, j := range later[i] {
			if waiting[j]--; waiting[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	return list
}

// report says that there is a cycle, edge by edge. at is where the entries of
// each after list stand.
func (o *order[T]) report(p *problems, summary string, cycle []edge[T], at map[T][]hcl.Range) {
	var places Related
	text := ""
	for _, e := range cycle {
		from, to := e.from.Address(), o.after(e.from)[e.entry].Address()
		places = append(places, Place{at[e.from][e.entry], string(from) + " comes after " + string(to)})
		text += string(from) + " → "
	}
	p.addRelated(places[0].Range, places[1:], summary, "%s%s. Each comes after the next, so none can be first.", text, cycle[0].from.Address())
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

// InOrder sorts the changes of a spec, which are by name, so that each comes after
// what it is `after`; there must be no cycle.
func InOrder(changes []*Change) []*Change {
	var out []*Change
	seen := map[string]bool{}
	var visit func(c *Change)
	visit = func(c *Change) {
		if seen[c.Name] {
			return
		}
		seen[c.Name] = true
		for _, before := range c.After {
			visit(before)
		}
		out = append(out, c)
	}
	for _, c := range changes {
		visit(c)
	}
	return out
}
