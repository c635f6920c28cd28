package interv

import "slices"

// again is what a representation did in the last call, and what that followed from. Where all of this comes again, as in a loop over calls
// at the same places, so does the action, whose tensors are on the device by then: nothing of it is ever changed.
type again struct {
	location          Location // a copy, as the call's is the caller's
	subspaces         [][]int
	read, write, runs int // of runs, how many there are
	from, to          Extent
	action            action
}

// repeatable tells whether what representation i does follows from what again holds: no tensors of the call, and nothing drawn.
func (p planned) repeatable(call Call, i int) bool {
	_, draws := p.Intervention.(Drawer)
	return call.Locations[i] != nil && entry(call.Activations, i) == nil && !draws
}

// lastAction is what representation i did in the last call; nil before.
func (iv *Intervenable) lastAction(i int) *again {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	return iv.last[i]
}

func (iv *Intervenable) keep(i int, now *again) {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	iv.last[i] = now
}

// noted is what the action of representation i follows from; run is the run that its group's source is.
func (b *bound) noted(i, run, write int) again {
	n := again{location: *b.call.Locations[i], subspaces: entry(b.call.Subspaces, i), read: run, write: write, runs: len(b.runs), to: b.runs[write].extent}
	if run >= 0 {
		n.from = b.runs[run].extent
	}
	return n
}

// same tells whether two follow from the same.
func (n *again) same(other *again) bool {
	return n.read == other.read && n.write == other.write && n.runs == other.runs && n.from.equal(other.from) && n.to.equal(other.to) &&
		n.location.equal(&other.location) && equalLists(n.subspaces, other.subspaces)
}

// kept is a copy that holds nothing of the caller's.
func (n again) kept(a action) *again {
	n.location = Location{Source: cloneLists(n.location.Source), Base: cloneLists(n.location.Base), SourceHeads: cloneLists(n.location.SourceHeads),
		BaseHeads: cloneLists(n.location.BaseHeads), Everywhere: n.location.Everywhere}
	n.subspaces, n.from, n.to, n.action = cloneLists(n.subspaces), n.from.clone(), n.to.clone(), a
	return &n
}

func (l *Location) equal(other *Location) bool {
	return l.Everywhere == other.Everywhere && equalLists(l.Source, other.Source) && equalLists(l.Base, other.Base) &&
		equalLists(l.SourceHeads, other.SourceHeads) && equalLists(l.BaseHeads, other.BaseHeads)
}

func (e Extent) equal(other Extent) bool {
	return e.Batch == other.Batch && e.Positions == other.Positions && equalList(e.Starts, other.Starts) && equalList(e.Ends, other.Ends)
}

func (e Extent) clone() Extent {
	e.Starts, e.Ends = slices.Clone(e.Starts), slices.Clone(e.Ends)
	return e
}

// equalList tells nil, which is everything, from empty.
func equalList(a, b []int) bool { return (a == nil) == (b == nil) && slices.Equal(a, b) }

func equalLists(a, b [][]int) bool {
	return (a == nil) == (b == nil) && slices.EqualFunc(a, b, equalList)
}

// cloneLists keeps nil and empty apart, too.
func cloneLists(lists [][]int) [][]int {
	copied := slices.Clone(lists)
	for i := range copied {
		copied[i] = slices.Clone(copied[i])
	}
	return copied
}
