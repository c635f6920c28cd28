package foreign

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// Check validates the inputs of one run against the description: exactly the declared ones, of one batch size and one number of
// positions.
func (m *Model) Check(inputs interv.Inputs) (interv.Extent, error) {
	names := make([]string, len(m.description.Inputs))
	for i, input := range m.description.Inputs {
		names[i] = input.Name
	}
	if err := inputs.Only(names...); err != nil {
		return interv.Extent{}, err
	}
	e := extent{interv.Any, interv.Any}
	for _, input := range m.description.Inputs {
		t, err := inputs.Require(input.Name, input.DType, e.of(input.Dims)...)
		if err == nil {
			err = input.checkValues(t)
		}
		if err != nil {
			return interv.Extent{}, err
		}
		for axis, size := range input.Dims {
			switch size {
			case Batch:
				e.batch = t.Shape().Dim(axis)
			case Positions:
				e.positions = t.Shape().Dim(axis)
			}
		}
	}
	if e.positions == interv.Any {
		e.positions = m.description.Positions
	}
	return interv.Extent{Batch: e.batch, Positions: e.positions}, nil
}

// checkValues refuses integers out of bounds.
func (i Input) checkValues(t *tensors.Tensor) (err error) {
	if i.Below == 0 {
		return nil
	}
	check := func(at int, value int64) {
		if err == nil && (value < 0 || value >= int64(i.Below)) {
			err = &interv.Error{Axis: fmt.Sprintf("%s, element %d of %s", i.Name, at, t.Shape()), Got: fmt.Sprint(value),
				Wanted: fmt.Sprintf("0 to %d", i.Below-1)}
		}
	}
	switch t.DType() {
	case dtypes.Int32:
		for at, value := range tensors.MustCopyFlatData[int32](t) {
			check(at, int64(value))
		}
	case dtypes.Int64:
		for at, value := range tensors.MustCopyFlatData[int64](t) {
			check(at, value)
		}
	}
	return err
}
