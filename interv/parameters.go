package interv

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// keys lists the parameters in config order.
func (iv *Intervenable) keys() []parameterKey {
	var keys []parameterKey
	for owner, declared := range iv.declared {
		for _, parameter := range declared {
			keys = append(keys, parameterKey{owner, parameter.Name})
		}
	}
	return keys
}

func (iv *Intervenable) find(name string) (parameterKey, error) {
	keys := iv.keys()
	names := make([]string, len(keys))
	for i, key := range keys {
		if names[i] = key.String(); names[i] == name {
			return key, nil
		}
	}
	return parameterKey{}, UnknownName("parameters", "name", name, names)
}

func (iv *Intervenable) kind(key parameterKey) Kind {
	i := slices.IndexFunc(iv.declared[key.owner], func(p Owned) bool { return p.Name == key.name })
	return iv.declared[key.owner][i].Kind
}

// Parameters returns the current values of all parameters of the interventions, by name: the number of the representation that
// owns it, a dot, and its name there, as in "0.rotation". Linked representations use those of the first of their link.
func (iv *Intervenable) Parameters() map[string]*tensors.Tensor {
	values := map[string]*tensors.Tensor{}
	for key, value := range *iv.parameters.Load() {
		values[key.String()] = value
	}
	return values
}

// SetParameters replaces the values of some parameters, for all calls that begin later. Nothing is replaced if any is refused: an
// unknown name, another shape or element type than before, a number that is not finite, or a rotation whose columns are not
// orthonormal.
func (iv *Intervenable) SetParameters(values map[string]*tensors.Tensor) error {
	changed := parameterValues{}
	for _, name := range sortedKeys(values) {
		key, err := iv.find(name)
		if err != nil {
			return err
		}
		value, old := values[name], (*iv.parameters.Load())[key]
		if !value.Shape().Equal(old.Shape()) {
			return &Error{Where: "parameter " + name, Axis: "shape", Got: value.Shape().String(), Wanted: old.Shape().String()}
		}
		if err := CheckFinite("parameter "+name, value); err != nil {
			return err
		}
		if iv.kind(key) == Orthonormal {
			if err := checkOrthonormal(floats(value), value.Shape().Dim(0), value.Shape().Dim(1)); err != nil {
				return Within("parameter "+name, err)
			}
		}
		changed[key] = value
	}
	iv.replace(changed)
	return nil
}

// replace swaps in new values without losing another goroutine's.
func (iv *Intervenable) replace(changed parameterValues) {
	for {
		old := iv.parameters.Load()
		values := maps.Clone(*old)
		maps.Copy(values, changed)
		if iv.parameters.CompareAndSwap(old, &values) {
			return
		}
	}
}

// Descend takes one step of gradient descent: p ← p − rate · ∂loss/∂p. A rotation follows the tangent part of its gradient, and
// the columns of the result are orthonormalized again.
func (iv *Intervenable) Descend(g *GradientResult, rate float64) error {
	changed := parameterValues{}
	for name, gradient := range g.Gradients {
		key, err := iv.find(name)
		if err != nil {
			return err
		}
		old := (*iv.parameters.Load())[key]
		direction := gradient
		if iv.kind(key) == Orthonormal {
			direction = g.Tangents[name]
		}
		if err := CheckFinite(fmt.Sprintf("gradient of %s", name), direction); err != nil {
			return err
		}
		values := floats(old)
		for i, slope := range floats(direction) {
			values[i] -= rate * slope
		}
		dimensions := old.Shape().Dimensions
		if iv.kind(key) == Orthonormal {
			orthonormalize(values, dimensions[0], dimensions[1])
		}
		changed[key] = ofDType(tensors.FromFlatDataAndDimensions(values, dimensions...), old.DType())
	}
	iv.replace(changed)
	return nil
}
