package das

import (
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// placed is what the programs of one place share: they take the weights, all examples, and the numbers of those of a batch.
type placed struct {
	settings    *Search
	place       Place
	width       int
	variables   int
	train, held examples
	values      [][]int // of variables in the training examples, or nil
	collect     *Exec
	keep        *Exec // what is kept of the base beside its activations; nil for nothing
	step, look  *Exec
	weights     []any
}

// examples are data on the device, with what base and sources have at a place.
type examples struct {
	count     int
	arguments []any             // inputs by name, base activations [examples, positions, width], differences, labels, what is kept
	base      *tensors.Tensor   // the same base activations
	sources   []*tensors.Tensor // activations of each source [examples, width]; differences are these without the base's [examples, variables, width]
}

func newPlaced(backend compute.Backend, model interv.Model, s *Search, place Place, train, held Data) (p *placed, err error) {
	sites, err := model.Catalogue().Find(place.Site)
	if err != nil {
		return nil, err
	}
	p = &placed{settings: s, place: place, width: sites.Width, variables: len(train.Sources), values: train.Values}
	if err := model.Weights().Upload(backend); err != nil {
		return nil, err
	}
	names := model.Weights().Names()
	for _, name := range names {
		p.weights = append(p.weights, model.Weights().Tensor(name))
	}
	inputs := slices.Sorted(maps.Keys(train.Base))
	// collect is what a clean run has at the place.
	p.collect, err = NewExec(backend, func(in []*Node) *Node {
		picked := make([]*Node, len(inputs))
		for i := range inputs {
			picked[i] = Gather(in[len(names)+i], ExpandDims(in[len(in)-1], -1))
		}
		var seen []*Node // of all positions at once, or step by step
		tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if a.Site == place.Site {
				value := a.Value
				if value.Rank() == 2 {
					value = ExpandDims(value, 1)
				}
				seen = append(seen, value)
			}
			return a.Value
		})
		model.Forward(nodes(names, in), nodes(inputs, picked), tap)
		if len(seen) == 0 || seen[0].Rank() != 3 {
			panic(&interv.Error{Where: place.String(), Axis: "announcement", Got: "none, or one with heads", Wanted: "[batch, positions, width], or [batch, width] of each step"})
		}
		return Concatenate(seen, 1)
	})
	if err != nil {
		return nil, err
	}
	extent, err := model.Check(train.Base)
	if err != nil {
		return nil, err
	}
	kept := 0 // tensors
	above := aboveOf(model, place, train.Base, extent.Positions, len(train.Labels)+len(held.Labels))
	if above != nil && place.Position > 0 {
		kept = 2 * (above.blocks.Blocks() - above.from)
		p.keep, err = NewExec(backend, func(in []*Node) []*Node {
			picked := make([]*Node, len(inputs))
			for i := range inputs {
				picked[i] = Gather(in[len(names)+i], ExpandDims(in[len(in)-1], -1))
			}
			return above.kept(nodes(names, in), nodes(inputs, picked))
		})
		if err != nil {
			return nil, err
		}
	}
	if p.train, err = p.read(train); err != nil {
		return nil, err
	}
	if p.held, err = p.read(held); err != nil {
		return nil, err
	}
	// batch are the logits and labels of a batch, by rotations and the columns of each variable.
	batch := func(in []*Node, rotations, selected *Node) (logits, labels *Node) {
		weights := nodes(names, in)
		in = in[len(names):]
		all, index := in[:len(inputs)+3+kept], in[len(inputs)+3+kept]
		picked := make([]*Node, len(all))
		for i, x := range all {
			picked[i] = Gather(x, ExpandDims(index, -1))
		}
		base, labels, change := picked[len(inputs)], picked[len(inputs)+2], change(rotations, selected, picked[len(inputs)+1])
		if above != nil {
			logits = above.logits(weights, base, change, picked[len(inputs)+3:])
		} else {
			logits = intervened(model, weights, nodes(inputs, picked), place, base, change)
		}
		return Reshape(logits, change.Shape().Dim(0), change.Shape().Dim(1), -1), labels
	}
	given := len(names) + len(inputs) + 4 + kept // arguments that all programs begin with
	p.step, err = NewExec(backend, func(in []*Node) []*Node {
		rest := in[given:]
		rotations, selected, set := rest[0], rest[1], settings{rest[2], rest[3], rest[4], rest[5], rest[6]}
		temperature, means := rest[7], rest[8:]
		var r, mask *moving
		penalty := ScalarZero(in[0].Graph(), dtypes.Float32)
		if s.Kind.learnsRotation() {
			r, means = &moving{rotations, means[0], means[1]}, means[2:]
		}
		if s.Kind.masks() {
			mask = &moving{means[0], means[1], means[2]}
			var share *Node
			selected, share = s.Kind.soft(mask.value, temperature, p.width)
			penalty = MulScalar(share, s.Penalty)
		}
		logits, labels := batch(in, rotations, selected)
		return trainingStep(Add(ReduceAllSum(losses(logits, labels)), penalty), r, mask, s.Kind, set)
	})
	if err != nil {
		return nil, err
	}
	p.look, err = NewExec(backend, func(in []*Node) []*Node {
		logits, labels := batch(in, in[given], in[given+1])
		return []*Node{right(logits, labels), crossEntropies(logits, labels)}
	})
	return p, err
}

func nodes(names []string, list []*Node) interv.Nodes {
	named := interv.Nodes{}
	for i, name := range names {
		named[name] = list[i]
	}
	return named
}

// read computes what a clean model has at the place on all examples, in batches, once.
func (p *placed) read(d Data) (examples, error) {
	inputs := slices.Sorted(maps.Keys(d.Base))
	positions := 0
	activations := func(in interv.Inputs) (flat []float32, err error) {
		arguments := slices.Clone(p.weights)
		for _, name := range inputs {
			arguments = append(arguments, in[name])
		}
		err = p.batches(len(d.Labels), func(index *tensors.Tensor, real int) error {
			out, err := p.collect.Call1(append(arguments, index)...)
			if err != nil {
				return err
			}
			positions = out.Shape().Dim(1)
			flat = append(flat, tensors.MustCopyFlatData[float32](out)[:real*positions*p.width]...)
			return nil
		})
		return flat, err
	}
	e := examples{count: len(d.Labels)}
	for _, name := range inputs {
		e.arguments = append(e.arguments, d.Base[name])
	}
	base, err := activations(d.Base)
	if err != nil {
		return e, err
	}
	differences := make([]float32, e.count*p.variables*p.width)
	for v, source := range d.Sources {
		all, err := activations(source)
		if err != nil {
			return e, err
		}
		here := make([]float32, 0, e.count*p.width)
		for i := range e.count {
			first := (i*positions + p.place.Position) * p.width
			here = append(here, all[first:first+p.width]...)
			for d := range p.width {
				differences[(i*p.variables+v)*p.width+d] = all[first+d] - base[first+d]
			}
		}
		e.sources = append(e.sources, tensors.FromFlatDataAndDimensions(here, e.count, p.width))
	}
	e.base = tensors.FromFlatDataAndDimensions(base, e.count, positions, p.width)
	e.arguments = append(e.arguments, e.base, tensors.FromFlatDataAndDimensions(differences, e.count, p.variables, p.width))
	e.arguments = append(e.arguments, int32s(d.Labels))
	kept, err := p.readKept(d)
	e.arguments = append(e.arguments, kept...)
	return e, err
}

// readKept computes what is kept of the base, in batches, once.
func (p *placed) readKept(d Data) (list []any, err error) {
	if p.keep == nil {
		return nil, nil
	}
	arguments := slices.Clone(p.weights)
	for _, name := range slices.Sorted(maps.Keys(d.Base)) {
		arguments = append(arguments, d.Base[name])
	}
	var flat [][]float32
	var all [][]int
	err = p.batches(len(d.Labels), func(index *tensors.Tensor, real int) error {
		out, err := p.keep.Call(append(arguments, index)...)
		if err != nil {
			return err
		}
		if flat == nil {
			flat, all = make([][]float32, len(out)), make([][]int, len(out))
		}
		for i, x := range out {
			dimensions := slices.Clone(x.Shape().Dimensions)
			flat[i] = append(flat[i], tensors.MustCopyFlatData[float32](x)[:real*(x.Size()/dimensions[0])]...)
			dimensions[0] = len(d.Labels)
			all[i] = dimensions
		}
		return nil
	})
	for i := range flat {
		list = append(list, tensors.FromFlatDataAndDimensions(flat[i], all[i]...))
	}
	return list, err
}

// batches counts through examples in batches of one size; of the last, only the first so many are real.
func (p *placed) batches(count int, do func(index *tensors.Tensor, real int) error) error {
	for first := 0; first < count; first += p.settings.Batch {
		index := make([]int, p.settings.Batch)
		for i := range index {
			index[i] = min(first+i, count-1)
		}
		if err := do(int32s(index), min(p.settings.Batch, count-first)); err != nil {
			return err
		}
	}
	return nil
}

func int32s(values []int) *tensors.Tensor {
	flat := make([]int32, len(values))
	for i, value := range values {
		flat[i] = int32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(flat))
}
