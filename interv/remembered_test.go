package interv

import "testing"

// remembered is what an action follows from, with something everywhere.
func remembered() *again {
	lists := func() [][]int { return [][]int{{1}, {2, 3}} }
	extent := func() Extent { return Extent{Batch: 2, Positions: 4, Starts: []int{0, 1}, Ends: []int{4, 3}} }
	return &again{location: Location{Source: lists(), Base: lists(), SourceHeads: lists(), BaseHeads: lists()}, subspaces: lists(),
		read: 0, write: 1, runs: 2, from: extent(), to: extent()}
}

// A call that differs in anything that an action follows from is another, and nothing that the caller can change is kept.
func TestWhatAnActionFollowsFrom(t *testing.T) {
	if !remembered().same(remembered()) {
		t.Fatal("the same are not the same")
	}
	of := remembered()
	kept := of.kept(action{})
	lists := map[string]func(*again) *[][]int{
		"source": func(n *again) *[][]int { return &n.location.Source }, "base": func(n *again) *[][]int { return &n.location.Base },
		"source heads": func(n *again) *[][]int { return &n.location.SourceHeads }, "base heads": func(n *again) *[][]int { return &n.location.BaseHeads },
		"subspaces": func(n *again) *[][]int { return &n.subspaces },
	}
	changes := map[string]func(*again){
		"everywhere": func(n *again) { n.location.Everywhere = true },
		"read":       func(n *again) { n.read++ }, "write": func(n *again) { n.write++ }, "runs": func(n *again) { n.runs++ },
	}
	for name, list := range lists {
		changes[name+", a unit"] = func(n *again) { (*list(n))[1][1]++ }
		changes[name+", one unit less"] = func(n *again) { (*list(n))[1] = (*list(n))[1][:1] }
		changes[name+", one example less"] = func(n *again) { *list(n) = (*list(n))[:1] }
		changes[name+", none"] = func(n *again) { *list(n) = nil }
	}
	for name, extent := range map[string]func(*again) *Extent{"from": func(n *again) *Extent { return &n.from }, "to": func(n *again) *Extent { return &n.to }} {
		changes[name+", batch"] = func(n *again) { extent(n).Batch++ }
		changes[name+", positions"] = func(n *again) { extent(n).Positions++ }
		changes[name+", starts"] = func(n *again) { extent(n).Starts[1]++ }
		changes[name+", ends"] = func(n *again) { extent(n).Ends[1]-- }
		changes[name+", no starts"] = func(n *again) { extent(n).Starts = nil }
		changes[name+", no ends"] = func(n *again) { extent(n).Ends = nil }
	}
	for name, change := range changes {
		other := remembered()
		change(other)
		if other.same(remembered()) || remembered().same(other) {
			t.Errorf("%s: another is the same", name)
		}
	}
	for _, list := range lists {
		(*list(of))[0][0]++
	}
	for _, list := range [][]int{of.from.Starts, of.from.Ends, of.to.Starts, of.to.Ends} {
		list[0]++
	}
	if !kept.same(remembered()) {
		t.Error("what the caller has changed since has changed what is kept")
	}
	for name, list := range lists { // nil is all, and empty none
		empty, all := remembered(), remembered()
		*list(empty), *list(all) = [][]int{}, nil
		if empty.same(all) || !all.same(all.kept(action{})) || !empty.same(empty.kept(action{})) {
			t.Errorf("%s: an empty list and none are the same, or not kept apart", name)
		}
		*list(empty), *list(all) = [][]int{{}}, [][]int{nil}
		if empty.same(all) || !empty.same(empty.kept(action{})) {
			t.Errorf("%s: an empty list of an example and none are the same", name)
		}
	}
}
