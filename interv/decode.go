package interv

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
)

// generation is one generation under way. Prompts are shifted to end in the same column, so that new tokens of all examples share one.
type generation struct {
	Generation
	iv       *Intervenable // on chunks of the model
	call     Call          // shifted
	given    []*tensors.Tensor
	sampler  *sampler
	batch    int
	prompts  []int32 // as they were given, [batch, length]
	length   int     // columns of the prompts
	capacity int     // columns of the cache
	mask     []int32 // [batch, capacity]
	state    Inputs
	ended    []int // for each example the token that ended it, −1 while it goes on
	logits   [][]float32
	measured [][]Measured // at each step
	out      *Generated
}

// capacityStep is what capacities are multiples of, so that generations of similar lengths share programs.
const capacityStep = 32

func (iv *Intervenable) newGeneration(call Call, how Generation) (*generation, error) {
	decoder, ok := iv.model.(Decoder)
	wrong := func(axis, got, wanted string) (*generation, error) {
		return nil, &Error{Where: "generation", Axis: axis, Got: got, Wanted: wanted}
	}
	switch {
	case !ok:
		return wrong("model", iv.model.Catalogue().Model, "an interv.Decoder, such as a transformer with a language-model head")
	case how.NewTokens < 1:
		return wrong("new tokens", fmt.Sprint(how.NewTokens), "at least 1")
	case iv.plan.serial:
		return wrong("mode", string(Serial), string(Parallel))
	case call.WithBase:
		return wrong("with base", "true", "false (without locations, a generation is clean)")
	case call.WithOutput:
		return wrong("with output", "true", "false (Generation.Logits asks for the logits of new tokens)")
	case len(call.Labels) > 0:
		return wrong("labels", fmt.Sprint(sortedKeys(call.Labels)), "none: a generation has no loss")
	case call.Base[InputIDs] == nil:
		return wrong(InputIDs, "none", "the prompts' tokens")
	}
	for _, m := range call.Metrics {
		switch {
		case m.At != nil:
			return wrong("position of metric "+m.title(), fmt.Sprint(m.At), "none: it is measured for each new token")
		case m.there() && ReadsClean(m.Metric):
			return wrong("metric", m.title()+", which reads the clean run", "one that does not: a generation has none")
		}
	}
	b, err := iv.bind(call)
	if err != nil {
		return nil, err
	}
	extent := b.base().extent
	if err := checkRoom(decoder, extent, how.NewTokens); err != nil {
		return nil, err
	}
	if err := checkStop(decoder, how.Stop); err != nil {
		return nil, err
	}
	g := &generation{Generation: how, call: call, batch: extent.Batch, length: extent.Positions,
		ended: slices.Repeat([]int{-1}, extent.Batch), out: &Generated{New: make([][]int, extent.Batch)}}
	if g.sampler, err = newSampler(how); err != nil {
		return nil, err
	}
	if g.given, err = iv.stepSources(call, how, extent.Batch); err != nil {
		return nil, err
	}
	g.capacity = (extent.Positions + how.NewTokens + capacityStep - 1) / capacityStep * capacityStep
	g.iv = iv.inChunks(decoder)
	g.shift(extent)
	g.state = Inputs{}
	for name, shape := range decoder.State(g.batch, g.capacity) {
		g.state[statePrefix+name] = tensors.FromShape(shape)
	}
	return g, nil
}

// checkRoom refuses to generate more tokens than the model has positions for, by showing it a sequence as long as the longest, and lengths
// that it cannot go on from.
func checkRoom(decoder Decoder, prompts Extent, newTokens int) error {
	longest := 0
	for example := range prompts.Batch {
		start, end := prompts.Real(example)
		longest = max(longest, end-start)
		if lengths, ok := decoder.(Lengths); ok { // the last new token is not processed
			if err := lengths.CheckLengths(end-start, end-start+newTokens-1); err != nil {
				return Within(fmt.Sprintf("generation of %d tokens, example %d", newTokens, example), err)
			}
		}
	}
	_, err := decoder.Check(Inputs{InputIDs: int32Tensor(make([]int, longest+newTokens), 1, longest+newTokens)})
	return Within(fmt.Sprintf("generation of %d tokens after %d", newTokens, longest), err)
}

// checkStop refuses tokens that are none of the model's, as an input of which it would refuse.
func checkStop(decoder Decoder, stop []int) error {
	for _, token := range stop {
		if int(int32(token)) != token {
			return &Error{Where: "generation", Axis: "stop", Got: fmt.Sprint(token), Wanted: "a token"}
		}
		if _, err := decoder.Check(Inputs{InputIDs: int32Tensor([]int{token}, 1, 1)}); err != nil {
			return Within("generation, stop", err)
		}
	}
	return nil
}

// shift moves every prompt, its mask and its locations to the right, over the padding that it has there.
func (g *generation) shift(extent Extent) {
	g.prompts = tensors.MustCopyFlatData[int32](g.call.Base[InputIDs])
	shifted := make([]int32, len(g.prompts))
	g.mask = make([]int32, g.batch*g.capacity)
	by := make([]int, g.batch)
	for example := range g.batch {
		start, end := extent.Real(example)
		by[example] = g.length - end
		for column := start; column < end; column++ {
			shifted[example*g.length+column+by[example]] = g.prompts[example*g.length+column]
			g.mask[example*g.capacity+column+by[example]] = 1
		}
	}
	g.call.Base = Inputs{InputIDs: tensors.FromFlatDataAndDimensions(shifted, g.batch, g.length)}
	g.call.Locations = slices.Clone(g.call.Locations)
	for i, location := range g.call.Locations {
		if location == nil || location.Everywhere || g.iv.plan.representations[i].Unit == Head {
			continue
		}
		moved := *location
		moved.Base = cloneRows(location.Base)
		for example, row := range moved.Base {
			for k := range row {
				if row[k] >= 0 {
					row[k] += by[example]
				}
			}
		}
		g.call.Locations[i] = &moved
	}
}

// stepSources are the activations that representations read at steps: those given, or what a source has at its last location.
func (iv *Intervenable) stepSources(call Call, how Generation, batch int) ([]*tensors.Tensor, error) {
	given := make([]*tensors.Tensor, len(iv.plan.representations))
	for i, p := range iv.plan.representations {
		given[i] = entry(call.Activations, i)
		if _, draws := p.Intervention.(Drawer); given[i] != nil || !p.reads || draws || !how.actsAtSteps(i) {
			continue
		}
		source, location := entry(call.Sources, p.group), call.Locations[i]
		if source == nil || location == nil || p.Unit != Position || location.Source == nil {
			return nil, &Error{Where: where(i, p.Representation), Axis: "source at steps", Got: "none",
				Wanted: "activations, or a source with a location that lists positions"}
		}
		last := make([][]int, batch)
		for example, row := range location.Source {
			if len(row) == 0 {
				return nil, &Error{Where: where(i, p.Representation), Axis: fmt.Sprintf("source locations of example %d", example), Got: "none", Wanted: "a position to read at steps"}
			}
			last[example] = row[len(row)-1:]
		}
		collect, err := New(iv.backend, iv.model, Config{Representations: []Representation{{Layer: p.readSite.Layer, Component: p.readSite.Component, Unit: p.Unit, Intervention: Collect{}}}})
		if err != nil {
			return nil, err
		}
		result, err := collect.Run(Call{Base: source, Locations: []*Location{At(last)}})
		if err != nil {
			return nil, err
		}
		given[i] = result.Collected[0].Value
	}
	return given, nil
}

func (how Generation) actsAtSteps(representation int) bool {
	for step := 0; how.Steps != nil && step < how.NewTokens-1; step++ {
		if how.Steps(step, representation) {
			return true
		}
	}
	return false
}

// start processes the prompts.
func (g *generation) start() (*Result, error) {
	call := g.call
	call.Base = g.chunk(call.Base[InputIDs], 0)
	return g.run(call)
}

// process processes the tokens chosen at a step.
func (g *generation) process(step int, chosen []int) (*Result, error) {
	column := g.length + step
	for example := range g.batch {
		g.mask[example*g.capacity+column] = 1
	}
	call := Call{Base: g.chunk(int32Tensor(chosen, g.batch, 1), column), Subspaces: g.call.Subspaces,
		Locations: make([]*Location, len(g.call.Locations)), Activations: slices.Clone(g.given), Metrics: g.call.Metrics}
	for i := range call.Locations {
		if g.Steps != nil && g.Steps(step, i) {
			call.Locations[i] = g.oneToken(i)
		} else {
			call.Activations[i] = nil
		}
	}
	return g.run(call)
}

// oneToken is where a representation acts in a chunk of one token: everywhere, or at the heads that its location lists.
func (g *generation) oneToken(i int) *Location {
	location := g.call.Locations[i]
	switch unit := g.iv.plan.representations[i].Unit; {
	case location == nil || location.Everywhere || unit == Position:
		return Everywhere()
	case unit == Head:
		return At(location.Base)
	default:
		return At(Repeat(g.batch, 0)).Heads(nil, location.BaseHeads)
	}
}

// chunk is the input of a chunk that begins at a column.
func (g *generation) chunk(ids *tensors.Tensor, column int) Inputs {
	inputs := Inputs{InputIDs: ids, AttentionMask: tensors.FromFlatDataAndDimensions(slices.Clone(g.mask), g.batch, g.capacity), offset: tensors.FromScalar(int32(column))}
	for name, t := range g.state {
		inputs[name] = t
	}
	return inputs
}

// run makes one call on chunks, and keeps the state for the next.
func (g *generation) run(call Call) (*Result, error) {
	call.WithOutput = true // tokens are chosen here
	result, next, err := g.iv.run(call, nextState{}, nil)
	if err != nil {
		return nil, err
	}
	for i, name := range sortedKeys(g.state) {
		g.state[name].MustFinalizeAll() // nobody else has seen it
		g.state[name] = next[i]
	}
	g.out.Collected = append(g.out.Collected, result.Collected)
	g.measured = append(g.measured, result.Metrics)
	return result, nil
}

// choose picks the next token of every example from logits [batch, vocabulary].
func (g *generation) choose(logits *tensors.Tensor) []int {
	values := host.Floats(logits)
	vocabulary := len(values) / g.batch
	if g.Logits {
		g.logits = append(g.logits, tensors.MustCopyFlatData[float32](ofDType(logits, dtypes.Float32)))
	}
	chosen := make([]int, g.batch)
	for example := range chosen {
		if chosen[example] = g.ended[example]; chosen[example] < 0 {
			chosen[example] = g.sampler.choose(values[example*vocabulary : (example+1)*vocabulary])
		}
	}
	return chosen
}

// take adds the tokens of a step and tells whether they are the last.
func (g *generation) take(step int, chosen []int) (last bool) {
	last = true
	for example, token := range chosen {
		g.out.New[example] = append(g.out.New[example], token)
		if slices.Contains(g.Stop, token) {
			g.ended[example] = token
		}
		last = last && g.ended[example] >= 0
	}
	if g.OnToken != nil {
		g.OnToken(step, slices.Clone(chosen))
	}
	return last || step+1 == g.NewTokens
}

// result puts together what was generated after the prompts as they were given.
func (g *generation) result() *Generated {
	steps := len(g.out.New[0])
	var all []int32
	for example, row := range g.out.New {
		all = append(all, g.prompts[example*g.length:(example+1)*g.length]...)
		for _, token := range row {
			all = append(all, int32(token))
		}
	}
	g.out.Tokens = tensors.FromFlatDataAndDimensions(all, g.batch, g.length+steps)
	g.out.Metrics = g.metrics(steps)
	if g.Logits {
		vocabulary := len(g.logits[0]) / g.batch
		var flat []float32
		for example := range g.batch {
			for _, logits := range g.logits {
				flat = append(flat, logits[example*vocabulary:(example+1)*vocabulary]...)
			}
		}
		g.out.Logits = tensors.FromFlatDataAndDimensions(flat, g.batch, steps, vocabulary)
	}
	return g.out
}

// metrics puts what was measured at each step side by side.
func (g *generation) metrics(steps int) (list []Measured) {
	for k, first := range g.measured[0] {
		each := make([][]float64, steps)
		for step := range each {
			each[step] = host.Floats(g.measured[step][k].Value)
		}
		size := len(each[0]) / g.batch
		var flat []float64
		for example := range g.batch {
			for _, values := range each {
				flat = append(flat, values[example*size:(example+1)*size]...)
			}
		}
		dimensions := append([]int{g.batch, steps}, first.Value.Shape().Dimensions[1:]...)
		list = append(list, Measured{Name: first.Name, Value: ofDType(tensors.FromFlatDataAndDimensions(flat, dimensions...), first.Value.DType())})
	}
	return list
}
