package interv_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"pgregory.net/rapid"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// scenario is a valid config and call for a random model: any sites, units, interventions, sizes, partitions, links, groups, modes,
// locations, subspaces, given activations, lengths and padding. Choices are rapid's, so that a failure shrinks; numbers come from a seed.
type scenario struct {
	*rapid.T
	random *rand.Rand
	model  interv.Model
	host   host
	dtype  dtypes.DType
	width  int
	batch  int
	config interv.Config
	call   interv.Call

	group   []int // of each representation
	kinds   []string
	sources []*drawnRun // of each group
	base    *drawnRun
}

// drawnRun is the run of a source or of the base.
type drawnRun struct {
	inputs       interv.Inputs
	positions    int
	starts, ends []int // of the examples
	needed       bool
}

func (s *scenario) int(lo, hi int, label string) int { return rapid.IntRange(lo, hi).Draw(s.T, label) }
func (s *scenario) coin(label string) bool           { return rapid.Bool().Draw(s.T, label) }

// rarely is true one time in four.
func (s *scenario) rarely(label string) bool { return s.int(0, 3, label) == 3 }

func (s *scenario) normal(dimensions ...int) *tensors.Tensor {
	return normal(s.random, s.dtype, dimensions...)
}

func drawScenario(t *rapid.T) *scenario {
	seed := rapid.Uint64Range(0, 1<<20).Draw(t, "seed of numbers")
	s := &scenario{T: t, random: rand.New(rand.NewPCG(seed, 5)), dtype: dtypes.Float64}
	if s.rarely("float32") {
		s.dtype = dtypes.Float32
	}
	s.drawModel(seed)
	s.batch = s.int(1, 3, "batch")
	s.config.Seed = seed
	s.config.Mode = rapid.SampledFrom([]interv.Mode{"", interv.Parallel, interv.Serial}).Draw(t, "mode")
	for i := range s.int(1, 4, "representations") {
		site := rapid.SampledFrom(s.model.Catalogue().All()).Draw(t, "site")
		r := interv.Representation{Layer: site.Layer, Component: site.Component}
		if s.coin("grouped") {
			r.Group = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "group")
		}
		if s.rarely("named") {
			r.Name = fmt.Sprint("name ", i)
		}
		s.config.Representations = append(s.config.Representations, r)
	}
	s.drawRuns()
	for i := range s.config.Representations {
		s.drawRepresentation(i)
	}
	s.call.Base, s.call.WithBase = s.base.inputs, s.coin("with base")
	for _, run := range s.sources {
		var inputs interv.Inputs
		if run.needed {
			inputs = run.inputs
		}
		s.call.Sources = append(s.call.Sources, inputs)
	}
	return s
}

// breaksChain tells whether, in serial mode, something is edited in a source's run that nothing reads.
func (s *scenario) breaksChain() bool {
	if s.config.Mode != interv.Serial {
		return false
	}
	read := func(group int) bool {
		for i, g := range s.group {
			if g == group && s.call.Locations[i] != nil && s.call.Activations[i] == nil && s.kinds[i] != "noise" && !slices.Contains(sourceless, s.kinds[i]) {
				return true
			}
		}
		return false
	}
	for i, g := range s.group {
		if s.call.Locations[i] != nil && s.kinds[i] != "collect" && g+1 < len(s.sources) && !read(g+1) {
			return true
		}
	}
	return false
}

func (s *scenario) drawModel(seed uint64) {
	layers := s.int(1, 2, "layers")
	s.width = s.int(1, 4, "width")
	if !s.coin("gru") {
		model := newAttention(layers, s.width, s.int(1, 3, "heads"), s.int(1, 3, "head"), s.dtype, seed)
		s.model, s.host = model, model
		return
	}
	config := gru.Config{Layers: layers, Width: s.width, NoBias: s.coin("no bias")}
	weights := map[string]*tensors.Tensor{}
	for _, name := range gru.MustNewClassifier(config, seed).Weights().Names() {
		weights[name] = s.normal(gru.MustNewClassifier(config, seed).Weights().Tensor(name).Shape().Dimensions...)
	}
	model, err := gru.WithWeights(config, weights)
	if err != nil {
		panic(err)
	}
	s.model, s.host = model, hostGRU{model}
}

// drawRuns draws the inputs of the base and of a source for each group. Attention weights are as wide as a run is long, so where any are
// patched, all runs are of one length.
func (s *scenario) drawRuns() {
	var count int
	s.group, count = groupOf(s.config)
	same := slices.ContainsFunc(s.config.Representations, func(r interv.Representation) bool { return r.Component == weighing }) || s.coin("one length")
	s.base = s.drawRun(s.int(1, 4, "positions"))
	for g := range count {
		positions := s.base.positions
		if !same {
			positions = s.int(1, 4, "positions of a source")
		}
		if g > 0 && s.rarely("the source before once more") {
			s.sources = append(s.sources, &drawnRun{s.sources[g-1].inputs, s.sources[g-1].positions, s.sources[g-1].starts, s.sources[g-1].ends, false})
			continue
		}
		s.sources = append(s.sources, s.drawRun(positions))
	}
}

func (s *scenario) drawRun(positions int) *drawnRun {
	r := &drawnRun{positions: positions, inputs: interv.Inputs{"inputs_embeds": s.normal(s.batch, positions, s.width)}}
	_, recurrent := s.model.(*gru.Model)
	padded := s.rarely("padded")
	mask := make([]int32, s.batch*positions)
	for i := range s.batch {
		start, end := 0, positions
		if padded {
			end = s.int(1, positions, "end")
			if !recurrent {
				start = s.int(0, end-1, "start")
			}
		}
		for p := start; p < end; p++ {
			mask[i*positions+p] = 1
		}
		r.starts, r.ends = append(r.starts, start), append(r.ends, end)
	}
	if padded {
		r.inputs["attention_mask"] = tensors.FromFlatDataAndDimensions(mask, s.batch, positions)
	}
	return r
}

// drawRepresentation draws all but the site and the group of representation i, and what the call has for it.
func (s *scenario) drawRepresentation(i int) {
	r := &s.config.Representations[i]
	sites, err := s.model.Catalogue().Find(r.Site())
	if err != nil {
		panic(err)
	}
	source, edited := s.sources[s.group[i]], s.base
	if s.config.Mode == interv.Serial && s.group[i]+1 < len(s.sources) {
		edited = s.sources[s.group[i]+1]
	}
	kind := rapid.SampledFrom(kindsAt(sites)).Draw(s.T, "intervention")
	s.kinds = append(s.kinds, kind)
	given := !slices.Contains(sourceless, kind) && s.rarely("activations given")
	reads := !slices.Contains(sourceless, kind) && kind != "noise" && !given

	units := sites.Units
	if reads && source.positions != edited.positions { // all positions of a head cannot go to a run of another length
		units = slices.DeleteFunc(slices.Clone(units), func(u interv.Unit) bool { return u == interv.Head })
	}
	r.Unit = rapid.SampledFrom(units).Draw(s.T, "unit")
	location, rectangle, even := s.drawLocation(r.Unit, max(1, sites.Heads), source, edited, reads)
	width := sites.Width
	if width == 0 {
		width = edited.positions
	}
	parameterized := slices.Contains(withParameters, kind)
	if count := rectangle[0] * rectangle[1]; parameterized && !sites.Stepwise && even && count > 1 && count < 5 && s.coin("units together") {
		r.MaxUnits = count
	}
	together := width * max(1, r.MaxUnits)
	r.Intervention = s.drawIntervention(kind, together)
	if parameterized {
		s.drawLink(i, together)
	}
	ids := s.drawSubspaces(r, sites.Width*max(1, r.MaxUnits))
	var activations *tensors.Tensor
	if given {
		dimensions := []int{s.batch, rectangle[1], width}
		if sites.Heads > 0 {
			dimensions = []int{s.batch, rectangle[0], rectangle[1], width}
		}
		activations = s.normal(dimensions[s.int(0, len(dimensions)-1, "axes left out"):]...)
	}
	if s.int(0, 7, "left out") == 7 {
		location = nil
	} else {
		source.needed = source.needed || reads
		edited.needed = true
	}
	s.call.Locations = append(s.call.Locations, location)
	s.call.Subspaces = append(s.call.Subspaces, ids)
	s.call.Activations = append(s.call.Activations, activations)
}

// drawLocation draws where a representation reads and writes. It returns the size of the largest rectangle of heads × positions, and
// whether all examples have it.
func (s *scenario) drawLocation(unit interv.Unit, heads int, source, edited *drawnRun, reads bool) (l *interv.Location, rectangle [2]int, even bool) {
	rectangle = [2]int{heads, edited.positions}
	if (!reads || source.positions == edited.positions) && s.rarely("everywhere") {
		return interv.Everywhere(), rectangle, true
	}
	l = &interv.Location{}
	even = s.coin("as many units in every example")
	located := s.int(0, s.batch-1, "an example with units")
	if unit == interv.Head {
		l.Base, l.Source, rectangle[0] = s.drawLists(s.all(heads), s.all(heads), even, located)
	} else {
		l.Base, l.Source, rectangle[1] = s.drawLists(edited.real(), source.real(), even, located)
	}
	if unit == interv.HeadPosition {
		l.BaseHeads, l.SourceHeads, rectangle[0] = s.drawLists(s.all(heads), s.all(heads), even, located)
	}
	if unit != interv.Head {
		s.fromTheEnd(l.Base, edited)
		s.fromTheEnd(l.Source, source)
	}
	if !reads {
		l.Source, l.SourceHeads = nil, nil
	}
	return l, rectangle, even
}

// drawLists lists for each example some of its units in the run that is edited, and as many, maybe repeated, of the source. most is the
// longest list's length.
func (s *scenario) drawLists(units, sourceUnits [][]int, even bool, located int) (base, source [][]int, most int) {
	limit := len(units[located])
	if even {
		for _, of := range units {
			limit = min(limit, len(of))
		}
	}
	length := s.int(1, limit, "units")
	for i := range s.batch {
		n := length
		if !even && i != located {
			n = s.int(0, len(units[i]), "units of an example")
		}
		most = max(most, n)
		base = append(base, rapid.Permutation(units[i]).Draw(s.T, "base units")[:n])
		source = append(source, rapid.SliceOfN(rapid.SampledFrom(sourceUnits[i]), n, n).Draw(s.T, "source units"))
	}
	return base, source, most
}

// all is the same units for each example, the first count.
func (s *scenario) all(count int) [][]int { return interv.Repeat(s.batch, interv.Range(0, count)...) }

// real is the positions of each example that are not padding.
func (r *drawnRun) real() (positions [][]int) {
	for i := range r.starts {
		positions = append(positions, interv.Range(r.starts[i], r.ends[i]))
	}
	return positions
}

// fromTheEnd counts some positions from the end of their example.
func (s *scenario) fromTheEnd(lists [][]int, run *drawnRun) {
	for i, list := range lists {
		for k, p := range list {
			if s.rarely("from the end") {
				list[k] = p - run.ends[i]
			}
		}
	}
}

var (
	sourceless     = []string{"zero", "collect", "constant", "base function"}
	withParameters = append([]string{"noise", "constant"}, trainable...)
	trainable      = []string{"rotated", "low rank", "boundless", "mask", "rotated mask", "pca", "autoencoder", "jumprelu"}
	plain          = []string{"vanilla", "addition", "subtraction", "function"}
)

func kindsAt(sites interv.Sites) []string {
	kinds := append([]string{"zero", "collect", "base function"}, plain...)
	if sites.Input != "" {
		kinds = append(kinds, "skip")
	}
	if sites.Width > 0 {
		kinds = append(kinds, withParameters...)
	}
	return kinds
}

// drawIntervention draws the sizes of an intervention on vectors of a width.
func (s *scenario) drawIntervention(kind string, width int) interv.Intervention {
	switch kind {
	case "zero":
		return interv.Zero{}
	case "collect":
		return interv.Collect{}
	case "vanilla":
		return interv.Vanilla{}
	case "addition":
		return interv.Addition{}
	case "subtraction":
		return interv.Subtraction{}
	case "skip":
		return interv.Skip{}
	case "function":
		return interv.Func{Build: func(base, source *Node) *Node { return Tanh(Sub(base, MulScalar(source, 2))) }}
	case "base function":
		return interv.BaseFunc{Build: func(base *Node) *Node { return Tanh(MulScalar(base, 2)) }}
	case "noise":
		return interv.Noise{Seed: uint64(s.int(0, 9, "seed of noise"))}
	case "constant":
		of := rapid.SampledFrom(slices.Concat(plain[:3], trainable)).Draw(s.T, "of")
		return interv.Constant{Of: s.drawIntervention(of, width), Trainable: s.coin("trainable")}
	case "rotated":
		return interv.RotatedSpace{}
	case "low rank":
		return interv.LowRankRotatedSpace{Rank: s.int(1, width, "rank")}
	case "boundless":
		return interv.BoundlessRotatedSpace{}
	case "mask":
		return interv.SigmoidMask{}
	case "rotated mask":
		return interv.SigmoidMaskRotatedSpace{}
	case "pca":
		return interv.PCARotatedSpace{Components: s.int(0, width, "components")}
	case "autoencoder":
		return interv.Autoencoder{Latents: s.int(1, 5, "latents"), KeepError: s.coin("keep error")}
	case "jumprelu":
		return interv.JumpReLUAutoencoder{Latents: s.int(1, 5, "latents"), KeepError: s.coin("keep error")}
	}
	panic("no intervention " + kind)
}

// drawLink shares the parameters of an earlier representation of the same kind and width.
func (s *scenario) drawLink(i, width int) {
	r := &s.config.Representations[i]
	for j := range i {
		other := &s.config.Representations[j]
		sites, _ := s.model.Catalogue().Find(other.Site())
		if s.kinds[j] == s.kinds[i] && sites.Width*max(1, other.MaxUnits) == width && s.coin("linked") {
			if other.Link == "" {
				other.Link = fmt.Sprint("link ", j)
			}
			r.Link, r.Intervention = other.Link, other.Intervention
			return
		}
	}
}

// drawSubspaces draws a partition for the config and ids for the call; nil for all features.
func (s *scenario) drawSubspaces(r *interv.Representation, width int) (ids [][]int) {
	subspaced, ok := r.Intervention.(interv.Subspaced)
	if !ok {
		return nil
	}
	count := subspaced.Features(width)
	if count == 0 {
		return nil
	}
	if s.rarely("partitioned") {
		features := rapid.Permutation(upTo(count)).Draw(s.T, "features")
		for cut := 0; cut < count; {
			size := s.int(1, count-cut, "features of a part")
			r.SubspacePartition = append(r.SubspacePartition, features[cut:cut+size])
			cut += size
		}
		if !hasParameters(r.Intervention) && s.coin("a part that overlaps") {
			r.SubspacePartition = append(r.SubspacePartition, features[:s.int(1, count, "features of it")])
		}
		count = len(r.SubspacePartition)
	}
	if !s.coin("subspaces") {
		return nil
	}
	_, collects := r.Intervention.(interv.Collect)
	for i := range s.batch {
		some := rapid.Permutation(upTo(count)).Draw(s.T, "ids")[:s.int(1, count, "count of ids")]
		if collects && i > 0 { // one tensor holds what all examples have
			some = rapid.Permutation(slices.Clone(ids[0])).Draw(s.T, "ids in another order")
		}
		ids = append(ids, some)
	}
	return ids
}
