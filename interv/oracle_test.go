package interv_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// The oracle computes what a call should bring about: each example alone, each source in a run of its own, units one after the other,
// in float64 on the host, from the formulas that the interventions' docs give. It shares no code with the library.
type oracle struct {
	host       host
	catalogue  interv.Catalogue
	config     interv.Config
	call       interv.Call
	parameters map[string]*tensors.Tensor
}

// recording is what a run announced: at each site [head][position][feature].
type recording map[interv.Site]cube

// outcome is one example's.
type outcome struct {
	base, output []float64
	collected    []map[[2]int][]float64 // of each representation that collects, in config order: by row and column of the unit
}

// groupOf numbers the groups in the order in which they first appear.
func groupOf(config interv.Config) (group []int, count int) {
	numbered := map[string]int{}
	for _, r := range config.Representations {
		number, known := numbered[r.Group]
		if r.Group == "" || !known {
			number = count
			numbered[r.Group] = number
			count++
		}
		group = append(group, number)
	}
	return group, count
}

// example computes the call's outcome for one example.
func (o oracle) example(i int) outcome {
	var out outcome
	group, count := groupOf(o.config)
	collected := map[int]map[[2]int][]float64{}
	run := func(inputs interv.Inputs, from recordings, edits func(representation int) bool) ([]float64, recording) {
		recorded := recording{}
		x, start, end := exampleOf(inputs, i)
		output := o.host.run(x, start, end, func(site interv.Site, offset int, value cube) cube {
			for r, representation := range o.config.Representations {
				if representation.Site() == site && edits(r) && o.call.Locations[r] != nil {
					value = o.edit(r, i, side{end, len(x)}, offset, value, from[group[r]], collected)
				}
			}
			if recorded[site] == nil {
				recorded[site] = make(cube, len(value))
			}
			for h := range value {
				recorded[site][h] = append(recorded[site][h], value[h]...)
			}
			return value
		})
		return output, recorded
	}
	none := func(int) bool { return false }
	source := func(g int) interv.Inputs {
		if g < len(o.call.Sources) {
			return o.call.Sources[g]
		}
		return nil
	}
	from := recordings{}
	for g := range count {
		if source(g) == nil {
			continue
		}
		edits := none
		if o.config.Mode == interv.Serial {
			edits = func(r int) bool { return group[r] == g-1 }
		}
		_, from[g] = run(source(g), from, edits)
	}
	out.output, _ = run(o.call.Base, from, func(r int) bool { return o.config.Mode != interv.Serial || group[r] == count-1 })
	out.base, _ = run(o.call.Base, nil, none)
	for r := range o.config.Representations {
		if units, ok := collected[r]; ok {
			out.collected = append(out.collected, units)
		}
	}
	return out
}

type recordings map[int]recording

// exampleOf is one example of a run's inputs, and which of its positions are real.
func exampleOf(inputs interv.Inputs, i int) (x [][]float64, start, end int) {
	embeds := inputs["inputs_embeds"]
	positions, width := embeds.Shape().Dim(1), embeds.Shape().Dim(2)
	x = rows(numbers(embeds)[i*positions*width:(i+1)*positions*width], width)
	if mask := inputs["attention_mask"]; mask != nil {
		starts, ends := realPositions(mask)
		return x, starts[i], ends[i]
	}
	return x, 0, positions
}

// side is what places of an example stand in: where its padding begins, and how many positions there are.
type side struct{ end, positions int }

// unit is one place in an example, and where it stands in the location's rectangle of heads × positions.
type unit struct{ head, position, row, column int }

// units lists those of one side of a location.
func (s side) units(kind interv.Unit, everywhere bool, list, heads [][]int, i, headCount int) (all []unit) {
	headList, positionList := upTo(headCount), upTo(s.positions)
	switch {
	case everywhere:
	case kind == interv.Head:
		headList = list[i]
	case kind == interv.HeadPosition:
		headList, positionList = heads[i], list[i]
	default:
		positionList = list[i]
	}
	for row, h := range headList {
		for column, p := range positionList {
			if p < 0 {
				p += s.end
			}
			all = append(all, unit{h, p, row, column})
		}
	}
	return all
}

// edit is what a representation makes of an announced activation.
func (o oracle) edit(r, i int, in side, offset int, value cube, from recording, collected map[int]map[[2]int][]float64) cube {
	representation, location := o.config.Representations[r], o.call.Locations[r]
	sites, _ := o.catalogue.Find(representation.Site())
	kind := cmp.Or(representation.Unit, sites.Units[0])
	written := in.units(kind, location.Everywhere, location.Base, location.BaseHeads, i, max(1, sites.Heads))
	features := o.selected(r, i)
	here := func(u unit) bool { return u.position >= offset && u.position < offset+len(value[0]) }

	if _, collects := representation.Intervention.(interv.Collect); collects {
		if collected[r] == nil {
			collected[r] = map[[2]int][]float64{}
		}
		for _, u := range written {
			if here(u) {
				collected[r][[2]int{u.row, u.column}] = exchanged(nil, value[u.head][u.position-offset], features)
			}
		}
		return value
	}

	var read []unit
	site := representation.Site()
	noise, draws := representation.Intervention.(interv.Noise)
	if o.given(r) == nil && readsSource(representation.Intervention) && !draws {
		if _, skips := representation.Intervention.(interv.Skip); skips {
			site.Component = sites.Input
		}
		group, _ := groupOf(o.config)
		x, _, end := exampleOf(o.call.Sources[group[r]], i)
		read = side{end, len(x)}.units(kind, location.Everywhere, location.Source, location.SourceHeads, i, max(1, sites.Heads))
	}
	changed := make(cube, len(value))
	for h := range value {
		changed[h] = slices.Clone(value[h])
	}
	together := 1
	if hasParameters(representation.Intervention) {
		together = max(1, representation.MaxUnits)
	}
	for first := 0; first < len(written); first += together {
		if !here(written[first]) {
			continue
		}
		var b, s []float64
		for k, u := range written[first : first+together] {
			b = append(b, value[u.head][u.position-offset]...)
			switch {
			case read != nil:
				s = append(s, from[site][read[first+k].head][read[first+k].position]...)
			case o.given(r) != nil:
				s = append(s, o.activation(r, i, u)...)
			case draws:
				s = append(s, matrix(noise.Draw(len(written), sites.Width))[first+k]...)
			}
		}
		result, width := o.apply(r, representation.Intervention, b, s, features), len(b)/together
		for k, u := range written[first : first+together] {
			changed[u.head][u.position-offset] = result[k*width : (k+1)*width]
		}
	}
	return changed
}

// upTo lists 0 to n−1.
func upTo(n int) (list []int) {
	for k := range n {
		list = append(list, k)
	}
	return list
}

func readsSource(i interv.Intervention) bool {
	_, sourceless := i.(interv.Sourceless)
	return !sourceless
}

func hasParameters(i interv.Intervention) bool {
	_, ok := i.(interv.Parameterized)
	return ok
}

// given are the activations that stand in place of a source.
func (o oracle) given(r int) *tensors.Tensor {
	if r < len(o.call.Activations) && o.call.Activations[r] != nil {
		return o.call.Activations[r]
	}
	return nil
}

// activation is the vector that is given for one unit: axes that are left out on the left are the same for all.
func (o oracle) activation(r, i int, u unit) []float64 {
	t := o.call.Activations[r]
	sites, _ := o.catalogue.Find(o.config.Representations[r].Site())
	index := []int{i, u.column}
	if sites.Heads > 0 {
		index = []int{i, u.row, u.column}
	}
	dimensions := t.Shape().Dimensions
	width := dimensions[len(dimensions)-1]
	index = index[len(index)-(len(dimensions)-1):]
	row := 0
	for axis, k := range index {
		row = row*dimensions[axis] + k
	}
	return numbers(t)[row*width : (row+1)*width]
}

// selected are the features of a representation's subspace in one example, in the listed order; nil for all.
func (o oracle) selected(r, i int) (features []int) {
	if r >= len(o.call.Subspaces) || o.call.Subspaces[r] == nil {
		return nil
	}
	for _, id := range o.call.Subspaces[r][i] {
		if parts := o.config.Representations[r].SubspacePartition; len(parts) > 0 {
			features = append(features, parts[id]...)
		} else {
			features = append(features, id)
		}
	}
	return features
}

// exchanged is from with the selected entries of to, all of them if features is nil; without from it is these entries alone, as listed.
func exchanged(from, to []float64, features []int) []float64 {
	if features == nil {
		return to
	}
	if from == nil {
		some := []float64{}
		for _, f := range features {
			some = append(some, to[f])
		}
		return some
	}
	mixed := slices.Clone(from)
	for _, f := range features {
		mixed[f] = to[f]
	}
	return mixed
}

// row multiplies a vector with a matrix.
func row(x []float64, m [][]float64) []float64 { return times([][]float64{x}, m)[0] }

// both applies f to the entries of x and y.
func both(x, y []float64, f func(a, b float64) float64) []float64 {
	z := make([]float64, len(x))
	for i := range x {
		z[i] = f(x[i], y[i])
	}
	return z
}

func add(a, b float64) float64      { return a + b }
func subtract(a, b float64) float64 { return a - b }
func multiply(a, b float64) float64 { return a * b }
func divide(a, b float64) float64   { return a / b }

// mixture is (1 − m) ⊙ b + m ⊙ s.
func mixture(m, b, s []float64) []float64 {
	return both(both(m, b, func(m, b float64) float64 { return (1 - m) * b }), both(m, s, multiply), add)
}

// apply is the formula of an intervention on one vector.
func (o oracle) apply(r int, intervention interv.Intervention, b, s []float64, features []int) []float64 {
	owner := r
	if link := o.config.Representations[r].Link; link != "" {
		owner = slices.IndexFunc(o.config.Representations, func(r interv.Representation) bool { return r.Link == link })
	}
	parameter := func(name string) *tensors.Tensor { return o.parameters[fmt.Sprintf("%d.%s", owner, name)] }
	vector := func(name string) []float64 { return numbers(parameter(name)) }
	scalar := func(name string) float64 { return vector(name)[0] }
	switch i := intervention.(type) {
	case interv.Vanilla, interv.Skip:
		return exchanged(b, s, features)
	case interv.Addition:
		return exchanged(b, both(b, s, add), features)
	case interv.Subtraction:
		return exchanged(b, both(b, s, subtract), features)
	case interv.Zero:
		return exchanged(b, make([]float64, len(b)), features)
	case interv.Func:
		return exchanged(b, both(b, s, func(b, s float64) float64 { return math.Tanh(b - 2*s) }), features)
	case interv.BaseFunc:
		return exchanged(b, both(b, b, func(b, _ float64) float64 { return math.Tanh(2 * b) }), features)
	case interv.Noise:
		return both(b, s, func(b, s float64) float64 { return b + scalar("noise_level")*s })
	case interv.Constant:
		return o.apply(r, i.Of, b, vector("constant"), features)
	case interv.RotatedSpace:
		m := matrix(parameter("rotation"))
		return row(exchanged(row(b, m), row(s, m), features), turned(m))
	case interv.LowRankRotatedSpace:
		m := matrix(parameter("rotation"))
		change := both(row(s, m), row(b, m), subtract)
		return both(b, row(exchanged(make([]float64, len(change)), change, features), turned(m)), add)
	case interv.BoundlessRotatedSpace:
		m, boundary, t := matrix(parameter("rotation")), min(1, max(0.001, scalar("boundary"))), scalar("temperature")
		soft := make([]float64, len(b))
		for k := range soft {
			soft[k] = sigmoid(float64(k)/t) * sigmoid((boundary*float64(len(b))-float64(k))/t)
		}
		return row(mixture(soft, row(b, m), row(s, m)), turned(m))
	case interv.SigmoidMask:
		return mixture(softMask(vector("mask"), scalar("temperature")), b, s)
	case interv.SigmoidMaskRotatedSpace:
		m := matrix(parameter("rotation"))
		return row(mixture(softMask(vector("mask"), scalar("temperature")), row(b, m), row(s, m)), turned(m))
	case interv.PCARotatedSpace:
		c, mean, std := matrix(parameter("components")), vector("mean"), vector("std")
		coordinates := func(x []float64) []float64 { return row(both(both(x, mean, subtract), std, divide), turned(c)) }
		z := exchanged(coordinates(b), coordinates(s), features)
		return both(both(row(z, c), std, multiply), mean, add)
	case interv.Autoencoder:
		w, v, c := matrix(parameter("encoder_weight")), matrix(parameter("decoder_weight")), vector("decoder_bias")
		encode := func(x []float64) []float64 {
			return both(row(both(x, c, subtract), turned(w)), vector("encoder_bias"), func(p, bias float64) float64 { return max(0, p+bias) })
		}
		decode := func(z []float64) []float64 { return both(row(z, turned(v)), c, add) }
		return reconstructed(b, s, features, encode, decode, i.KeepError)
	case interv.JumpReLUAutoencoder:
		encode := func(x []float64) []float64 {
			before := both(row(x, matrix(parameter("W_enc"))), vector("b_enc"), add)
			return both(before, vector("threshold"), func(p, threshold float64) float64 {
				if p > threshold {
					return max(0, p)
				}
				return 0
			})
		}
		decode := func(z []float64) []float64 { return both(row(z, matrix(parameter("W_dec"))), vector("b_dec"), add) }
		return reconstructed(b, s, features, encode, decode, i.KeepError)
	}
	panic("the oracle does not know " + intervention.Name())
}

func softMask(mask []float64, temperature float64) []float64 {
	return each([][]float64{mask}, func(x float64) float64 { return sigmoid(x / temperature) })[0]
}

// reconstructed decodes the base's latents with the selected ones of the source.
func reconstructed(b, s []float64, features []int, encode, decode func([]float64) []float64, keepError bool) []float64 {
	out := decode(exchanged(encode(b), encode(s), features))
	if keepError {
		out = both(out, both(b, decode(encode(b)), subtract), add)
	}
	return out
}
