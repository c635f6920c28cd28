package sweep

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
)

// fill makes the tables that slots read in place of a run.
func (j *job) fill() error {
	for _, s := range j.slots {
		if s.tables == nil {
			continue
		}
		var layers []int
		units := 0
		for _, patches := range j.patches {
			for _, p := range patches {
				if p.slot != s {
					continue
				}
				layers = append(layers, p.layer)
				for pair := range j.extent.Batch {
					units = max(units, len(p.base[pair])*max(1, len(p.heads)))
				}
			}
		}
		slices.Sort(layers)
		if err := s.fill(j, slices.Compact(layers), units); err != nil {
			return interv.Within(string(s.component), err)
		}
	}
	return nil
}

// fill makes the tables of one slot for some layers.
func (s *slot) fill(j *job, layers []int, units int) error {
	var table *tensors.Tensor
	drawer, draws := s.intervention.(interv.Drawer)
	switch {
	case s.sites.Width == 0:
		return &interv.Error{Axis: "component", Got: "one whose width varies with the run", Wanted: "one of a fixed width: " + s.intervention.Name() + " reads vectors"}
	case s.from == FromMean:
		return s.fillMeans(j, layers)
	case s.role == trying && j.Directions != nil:
		rows := make([]float64, 0, len(j.vectors)*s.sites.Width)
		for _, v := range j.vectors {
			direction := j.Directions[v.direction]
			if len(direction) != s.sites.Width {
				return &interv.Error{Axis: fmt.Sprintf("direction %d", v.direction), Got: fmt.Sprintf("%d numbers", len(direction)), Wanted: fmt.Sprintf("%d, the component's width", s.sites.Width)}
			}
			for _, x := range direction {
				rows = append(rows, v.scale*x)
			}
		}
		table = j.floats(rows, len(j.vectors), s.sites.Width)
		if err := interv.CheckFinite("directions", table); err != nil {
			return err
		}
	case draws:
		drawn := drawer.Draw(units, s.sites.Width)
		if wanted := []int{units, s.sites.Width}; !slices.Equal(drawn.Shape().Dimensions, wanted) {
			return &interv.Error{Axis: "what " + s.intervention.Name() + " draws", Got: drawn.Shape().String(), Wanted: fmt.Sprint(wanted)}
		}
		table = j.floats(host.Floats(drawn), units, s.sites.Width)
	}
	for _, layer := range layers {
		s.tables[layer] = table
	}
	return nil
}

// meanBatch is how many examples are run at once for means.
const meanBatch = 32

// fillMeans runs the model for the means of a component over positions that are not padding: [heads, width], or [1, width].
func (s *slot) fillMeans(j *job, layers []int) error {
	config := interv.Config{}
	locations := make([]*interv.Location, len(layers))
	for i, layer := range layers {
		config.Representations = append(config.Representations, interv.Representation{Layer: layer, Component: s.readComponent, Intervention: interv.Collect{}})
		locations[i] = interv.Everywhere()
	}
	iv, err := interv.New(j.backend, j.model, config)
	if err != nil {
		return err
	}
	inputs := j.Base
	if j.hasSources {
		inputs = j.Source
	}
	heads, width := max(1, s.sites.Heads), s.sites.Width
	sums, count := make([][]float64, len(layers)), 0
	for i := range sums {
		sums[i] = make([]float64, heads*width)
	}
	for first := 0; first < j.extent.Batch; first += meanBatch {
		examples := interv.Range(first, min(first+meanBatch, j.extent.Batch))
		result, err := iv.Run(interv.Call{Base: host.Examples(inputs, examples), Locations: locations})
		if err != nil {
			return err
		}
		for i, collected := range result.Collected {
			values := host.Floats(collected.Value)
			for k, example := range examples {
				start, end := j.extent.Real(example)
				for head := range heads {
					for position := start; position < end; position++ {
						at := ((k*heads+head)*j.extent.Positions + position) * width
						for f := range width {
							sums[i][head*width+f] += values[at+f]
						}
					}
				}
			}
		}
	}
	for pair := range j.extent.Batch {
		start, end := j.extent.Real(pair)
		count += end - start
	}
	for i, layer := range layers {
		for k := range sums[i] {
			sums[i][k] /= float64(count)
		}
		s.tables[layer] = j.floats(sums[i], heads, width)
	}
	return nil
}

// floats is a tensor of the model's type.
func (j *job) floats(values []float64, dimensions ...int) *tensors.Tensor {
	return host.Tensor(values, j.model.Weights().DType(), dimensions...)
}

// ints reads a tensor of int32.
func ints(t *tensors.Tensor) []int {
	flat := tensors.MustCopyFlatData[int32](t)
	values := make([]int, len(flat))
	for i, value := range flat {
		values[i] = int(value)
	}
	return values
}
