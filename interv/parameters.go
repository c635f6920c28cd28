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
		if err := checkParameter(key, iv.kind(key), value); err != nil {
			return err
		}
		changed[key] = value
	}
	iv.replace(changed)
	return nil
}

// SetParametersOf replaces parameters of one representation, by their names there: what [FitPCA] or [LoadAutoencoder] return.
func (iv *Intervenable) SetParametersOf(representation int, values map[string]*tensors.Tensor) error {
	if last := len(iv.plan.representations) - 1; representation < 0 || representation > last {
		return &Error{Where: "parameters", Axis: "representation", Got: fmt.Sprint(representation), Wanted: fmt.Sprintf("0 to %d", last)}
	}
	named := map[string]*tensors.Tensor{}
	for name, value := range values {
		named[parameterKey{iv.plan.representations[representation].owner, name}.String()] = ofDType(value, iv.model.Weights().DType())
	}
	return iv.SetParameters(named)
}

// checkParameter refuses a value that a parameter of the kind cannot have.
func checkParameter(key parameterKey, kind Kind, value *tensors.Tensor) error {
	where := "parameter " + key.String()
	if err := CheckFinite(where, value); err != nil {
		return err
	}
	if key.name == temperature || key.name == deviation {
		for i, divisor := range floats(value) {
			if divisor <= 0 {
				return &Error{Where: where, Axis: fmt.Sprintf("element %d of %s", i, value.Shape()), Got: fmt.Sprint(divisor), Wanted: "a number above 0"}
			}
		}
	}
	if kind == Orthonormal {
		return Within(where, checkOrthonormal(floats(value), value.Shape().Dim(0), value.Shape().Dim(1)))
	}
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

// frozenParameters are those that gradients and training leave alone.
type frozenParameters map[parameterKey]bool

// String lists them, for the keys of programs.
func (f frozenParameters) String() string {
	var names []string
	for key := range f {
		names = append(names, key.String())
	}
	slices.Sort(names)
	return fmt.Sprint(names)
}

// Freeze makes gradients and training leave parameters alone from now on.
func (iv *Intervenable) Freeze(names ...string) error { return iv.setFrozen(true, names) }

// Unfreeze takes Freeze back.
func (iv *Intervenable) Unfreeze(names ...string) error { return iv.setFrozen(false, names) }

func (iv *Intervenable) setFrozen(frozen bool, names []string) error {
	keys := make([]parameterKey, len(names))
	for i, name := range names {
		key, err := iv.find(name)
		if err != nil {
			return err
		}
		if keys[i] = key; iv.kind(key) == Fixed {
			return &Error{Where: "parameter " + name, Axis: "kind", Got: "fixed", Wanted: "one that is trained"}
		}
	}
	for {
		old := iv.frozen.Load()
		now := maps.Clone(*old)
		for _, key := range keys {
			if now[key] = true; !frozen {
				delete(now, key)
			}
		}
		if iv.frozen.CompareAndSwap(old, &now) {
			return nil
		}
	}
}

// temperature is what the parameter is called in every intervention that has one.
const temperature = "temperature"

// SetTemperature sets every parameter called temperature; an error if there is none, or the value is not above 0.
func (iv *Intervenable) SetTemperature(value float64) error {
	values := map[string]*tensors.Tensor{}
	for key := range iv.temperatures() {
		values[key.String()] = ofDType(tensors.FromScalar(value), iv.model.Weights().DType())
	}
	if len(values) == 0 {
		return &Error{Where: "parameters", Axis: temperature, Got: "none", Wanted: "an intervention that has one, such as interv.BoundlessRotatedSpace{}"}
	}
	return iv.SetParameters(values)
}

func (iv *Intervenable) temperatures() parameterValues {
	values := maps.Clone(*iv.parameters.Load())
	maps.DeleteFunc(values, func(key parameterKey, _ *tensors.Tensor) bool { return key.name != temperature })
	return values
}

// Count is the number of parameters of the interventions: all, and those that training changes. Linked ones count once.
func (iv *Intervenable) Count() (all, trainable int) {
	frozen := *iv.frozen.Load()
	for key, value := range *iv.parameters.Load() {
		all += value.Size()
		if iv.kind(key) != Fixed && !frozen[key] {
			trainable += value.Size()
		}
	}
	return all, trainable
}
