package das

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
)

// placed is what the programs of one place share: they take the weights, all examples, and the numbers of those of a batch.
type placed struct {
	settings    *Search
	place       Place
	inputs      []string // names
	positions   int
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
	arguments []any             // inputs by name; the base's activations, and below them how those of each source differ, [examples, positions + variables, width]; labels, what is kept
	base      *tensors.Tensor   // activations of the base [examples, positions, width]
	sources   []*tensors.Tensor // activations of each source [examples, width]
}

func newPlaced(backend compute.Backend, model interv.Model, s *Search, place Place, train, held Data) (p *placed, err error) {
	sites, err := model.Catalogue().Find(place.Site)
	if err != nil {
		return nil, err
	}
	extent, err := model.Check(train.Base)
	if err != nil {
		return nil, err
	}
	p = &placed{settings: s, place: place, positions: extent.Positions, width: sites.Width, variables: len(train.Sources), values: train.Values}
	if err := model.Weights().Upload(backend); err != nil {
		return nil, err
	}
	names := model.Weights().Names()
	for _, name := range names {
		p.weights = append(p.weights, model.Weights().Tensor(name))
	}
	inputs := slices.Sorted(maps.Keys(train.Base))
	p.inputs = inputs
	// collect is what a clean run of a batch has at the place.
	p.collect, err = NewExec(backend, func(in []*Node) *Node {
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
		model.Forward(nodes(names, in), nodes(inputs, in[len(names):]), tap)
		if len(seen) == 0 || seen[0].Rank() != 3 {
			panic(&interv.Error{Where: place.String(), Axis: "announcement", Got: "none, or one with heads", Wanted: "[batch, positions, width], or [batch, width] of each step"})
		}
		all := Concatenate(seen, 1)
		if got := all.Shape().Dim(1); got != p.positions {
			panic(&interv.Error{Where: place.String(), Axis: "positions that the model announces", Got: fmt.Sprint(got), Wanted: fmt.Sprint(p.positions)})
		}
		return all
	})
	if err != nil {
		return nil, err
	}
	kept := 0 // tensors
	above := aboveOf(model, place, train.Base, p.positions, len(train.Labels)+len(held.Labels))
	if above != nil && place.Position > 0 {
		kept = 2 * (above.blocks.Blocks() - above.from)
		p.keep, err = NewExec(backend, func(in []*Node) []*Node {
			return above.kept(nodes(names, in), nodes(inputs, in[len(names):]))
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
		all, index := in[:len(inputs)+2+kept], in[len(inputs)+2+kept]
		picked := make([]*Node, len(all))
		for i, x := range all {
			picked[i] = Gather(x, ExpandDims(index, -1))
		}
		activations, labels := picked[len(inputs)], picked[len(inputs)+1]
		base := SliceAxis(activations, 1, AxisRange(0, p.positions))
		change := change(rotations, selected, SliceAxis(activations, 1, AxisRange(p.positions)))
		if above != nil {
			logits = above.logits(weights, base, change, picked[len(inputs)+2:])
		} else {
			logits = intervened(model, weights, nodes(inputs, picked), place, base, change)
		}
		return Reshape(logits, change.Shape().Dim(0), change.Shape().Dim(1), -1), labels
	}
	given := len(names) + len(inputs) + 3 + kept // arguments that all programs begin with
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
	e := examples{count: len(d.Labels)}
	for _, name := range p.inputs {
		e.arguments = append(e.arguments, d.Base[name])
	}
	positions, width := p.positions, p.width
	row := (positions + p.variables) * width
	base, all := make([]float32, e.count*positions*width), make([]float32, e.count*row)
	_, err := p.run(p.collect, d.Base, e.count, func(example int, activations [][]float32) {
		copy(base[example*positions*width:], activations[0])
		copy(all[example*row:], activations[0])
	})
	if err != nil {
		return e, err
	}
	at := p.place.Position * width
	for v, source := range d.Sources {
		here := make([]float32, e.count*width)
		_, err := p.run(p.collect, source, e.count, func(example int, activations [][]float32) {
			there := activations[0][at : at+width]
			copy(here[example*width:], there)
			without := all[example*row+at:]
			difference := all[example*row+(positions+v)*width:]
			for d, value := range there {
				difference[d] = value - without[d]
			}
		})
		if err != nil {
			return e, err
		}
		e.sources = append(e.sources, tensors.FromFlatDataAndDimensions(here, e.count, width))
	}
	e.base = tensors.FromFlatDataAndDimensions(base, e.count, positions, width)
	e.arguments = append(e.arguments, tensors.FromFlatDataAndDimensions(all, e.count, positions+p.variables, width), int32s(d.Labels))
	kept, err := p.readKept(d)
	e.arguments = append(e.arguments, kept...)
	return e, err
}

// readKept computes what is kept of the base, in batches, once.
func (p *placed) readKept(d Data) (list []any, err error) {
	if p.keep == nil {
		return nil, nil
	}
	var flat [][]float32
	dimensions, err := p.run(p.keep, d.Base, len(d.Labels), func(_ int, rows [][]float32) {
		if flat == nil {
			flat = make([][]float32, len(rows))
		}
		for i, row := range rows {
			flat[i] = append(flat[i], row...)
		}
	})
	for i := range flat {
		list = append(list, tensors.FromFlatDataAndDimensions(flat[i], append([]int{len(d.Labels)}, dimensions[i]...)...))
	}
	return list, err
}

// run runs a program that takes a batch of inputs on all examples, and hands on what it returns of each. dimensions are those of one example.
func (p *placed) run(program *Exec, in interv.Inputs, count int, each func(example int, rows [][]float32)) (dimensions [][]int, err error) {
	names := slices.Sorted(maps.Keys(in))
	if !slices.Equal(names, p.inputs) {
		return nil, &interv.Error{Axis: "inputs", Got: fmt.Sprint(names), Wanted: fmt.Sprintf("%v, as the base of the training examples has", p.inputs)}
	}
	err = p.batches(count, func(examples []int, real int) error {
		arguments := slices.Clone(p.weights)
		for _, name := range names {
			arguments = append(arguments, host.Rows(in[name], examples))
		}
		out, err := program.Call(arguments...)
		if err != nil {
			return err
		}
		flat := make([][]float32, len(out))
		dimensions = make([][]int, len(out))
		for i, x := range out {
			flat[i], dimensions[i] = tensors.MustCopyFlatData[float32](x), x.Shape().Dimensions[1:]
			x.FinalizeAll()
		}
		rows := make([][]float32, len(out))
		for k, example := range examples[:real] {
			for i, all := range flat {
				size := len(all) / len(examples)
				rows[i] = all[k*size : (k+1)*size]
			}
			each(example, rows)
		}
		return nil
	})
	return dimensions, err
}

// batches counts through examples in batches of one size; of the last, only the first so many are real.
func (p *placed) batches(count int, do func(examples []int, real int) error) error {
	for first := 0; first < count; first += p.settings.Batch {
		examples := make([]int, p.settings.Batch)
		for i := range examples {
			examples[i] = min(first+i, count-1)
		}
		if err := do(examples, min(p.settings.Batch, count-first)); err != nil {
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
