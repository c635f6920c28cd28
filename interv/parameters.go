package interv

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
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

// find is the parameter of a name, which a linked representation may be named in as well as the one that owns it.
func (iv *Intervenable) find(name string) (parameterKey, error) {
	var names []string
	for i, p := range iv.plan.representations {
		for _, declared := range iv.declared[p.owner] {
			if (parameterKey{i, declared.Name}).String() == name {
				return parameterKey{p.owner, declared.Name}, nil
			}
			if i == p.owner {
				names = append(names, parameterKey{i, declared.Name}.String())
			}
		}
	}
	return parameterKey{}, UnknownName("parameters", "name", name, names)
}

func (iv *Intervenable) kind(key parameterKey) Kind {
	i := slices.IndexFunc(iv.declared[key.owner], func(p Owned) bool { return p.Name == key.name })
	return iv.declared[key.owner][i].Kind
}

// Parameters returns copies of the current values of all parameters of the interventions, by name: the number of the representation
// that owns it, a dot, and its name there, as in "0.rotation". Linked representations use those of the first of their link.
func (iv *Intervenable) Parameters() map[string]*tensors.Tensor {
	values := iv.named()
	for name, value := range values {
		values[name] = must.Of(value.LocalClone())
	}
	return values
}

func (iv *Intervenable) named() map[string]*tensors.Tensor {
	values := map[string]*tensors.Tensor{}
	for key, value := range iv.values() {
		values[key.String()] = value
	}
	return values
}

// SetParameters replaces the values of some parameters by copies of these, for all calls that begin later. Nothing is replaced if any is
// refused: an unknown name, another shape or element type than before, a number that is not finite, or a rotation whose columns are not
// orthonormal.
func (iv *Intervenable) SetParameters(values map[string]*tensors.Tensor) error {
	changed := parameterValues{}
	for _, name := range sortedKeys(values) {
		key, err := iv.find(name)
		if err != nil {
			return err
		}
		if changed[key] != nil {
			return &Error{Where: "parameter " + name, Axis: "name", Got: "one that is linked to another of those given", Wanted: "each parameter once"}
		}
		value, old := values[name], iv.values()[key]
		if value == nil || !value.Shape().Equal(old.Shape()) {
			return &Error{Where: "parameter " + name, Axis: "shape", Got: describeShape(value), Wanted: old.Shape().String()}
		}
		if err := checkParameter(key, iv.kind(key), value); err != nil {
			return err
		}
		if changed[key], err = value.LocalClone(); err != nil {
			return err
		}
	}
	iv.replace(changed)
	return nil
}

// SetParametersOf replaces parameters of one representation, by their names there: what [FitPCA] or [LoadAutoencoder] return. Their
// numbers may be float32 or float64.
func (iv *Intervenable) SetParametersOf(representation int, values map[string]*tensors.Tensor) error {
	if last := len(iv.plan.representations) - 1; representation < 0 || representation > last {
		return &Error{Where: "parameters", Axis: "representation", Got: fmt.Sprint(representation), Wanted: fmt.Sprintf("0 to %d", last)}
	}
	named := map[string]*tensors.Tensor{}
	for name, value := range values {
		name = parameterKey{representation, name}.String()
		if err := checkNumbers("parameter "+name, value); err != nil {
			return err
		}
		named[name] = ofDType(value, iv.model.Weights().ResultDType())
	}
	return iv.SetParameters(named)
}

// checkOwned refuses parameters that an intervention cannot have.
func checkOwned(declared []Owned) error {
	names := map[string]bool{}
	for _, parameter := range declared {
		where := "parameter " + parameter.Name
		if names[parameter.Name] {
			return &Error{Where: where, Axis: "name", Got: "one that another parameter has", Wanted: "another"}
		}
		names[parameter.Name] = true
		if parameter.Kind < Free || parameter.Kind > Fixed {
			return &Error{Where: where, Axis: "kind", Got: parameter.Kind.String(), Wanted: "Free, Orthonormal or Fixed"}
		}
		if err := checkNumbers(where, parameter.Value); err != nil {
			return err
		}
		shape := parameter.Value.Shape()
		if parameter.Kind == Orthonormal && (shape.Rank() != 2 || shape.Dim(0) < shape.Dim(1)) {
			return &Error{Where: where, Axis: "shape", Got: shape.String(), Wanted: "a matrix [d, r] with d ≥ r: it is orthonormal"}
		}
		if parameter.Name == temperature && shape.Rank() > 0 {
			return &Error{Where: where, Axis: "shape", Got: shape.String(), Wanted: "a scalar"}
		}
	}
	return nil
}

// checkParameter refuses a value that a parameter of the kind cannot have.
func checkParameter(key parameterKey, kind Kind, value *tensors.Tensor) error {
	where := "parameter " + key.String()
	if err := CheckFinite(where, value); err != nil {
		return err
	}
	if key.name == temperature || key.name == deviation {
		for i, divisor := range host.Floats(value) {
			if divisor <= 0 {
				return &Error{Where: where, Axis: fmt.Sprintf("element %d of %s", i, value.Shape()), Got: fmt.Sprint(divisor), Wanted: "a number above 0"}
			}
		}
	}
	if kind == Orthonormal {
		return Within(where, checkOrthonormal(host.Floats(value), value.Shape().Dim(0), value.Shape().Dim(1)))
	}
	return nil
}

// values are the parameters of now.
func (iv *Intervenable) values() parameterValues {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	return iv.parameters
}

func (iv *Intervenable) setValues(values parameterValues) {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	iv.parameters = values
}

// replace swaps in new values without losing another goroutine's.
func (iv *Intervenable) replace(changed parameterValues) {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	values := maps.Clone(iv.parameters)
	maps.Copy(values, changed)
	iv.parameters = values
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

// Freeze makes gradients and training leave parameters alone from now on. An unknown name, or a parameter that is fixed anyway, is an error.
func (iv *Intervenable) Freeze(names ...string) error { return iv.setFrozen(true, names) }

// Unfreeze takes Freeze back.
func (iv *Intervenable) Unfreeze(names ...string) error { return iv.setFrozen(false, names) }

// frozenNow are those that are frozen now.
func (iv *Intervenable) frozenNow() frozenParameters {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	return iv.frozen
}

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
	iv.mu.Lock()
	defer iv.mu.Unlock()
	now := maps.Clone(iv.frozen)
	for _, key := range keys {
		if now[key] = true; !frozen {
			delete(now, key)
		}
	}
	iv.frozen = now
	return nil
}

// temperature is what the parameter is called in every intervention that has one.
const temperature = "temperature"

// SetTemperature sets every parameter called temperature; an error if there is none, or the value is not above 0.
func (iv *Intervenable) SetTemperature(value float64) error {
	values := map[string]*tensors.Tensor{}
	for key := range iv.temperatures() {
		values[key.String()] = ofDType(tensors.FromScalar(value), iv.model.Weights().ResultDType())
	}
	if len(values) == 0 {
		return &Error{Where: "parameters", Axis: temperature, Got: "none", Wanted: "an intervention that has one, such as interv.BoundlessRotatedSpace{}"}
	}
	return iv.SetParameters(values)
}

func (iv *Intervenable) temperatures() parameterValues {
	values := maps.Clone(iv.values())
	maps.DeleteFunc(values, func(key parameterKey, _ *tensors.Tensor) bool { return key.name != temperature })
	return values
}

// Count is the number of parameters of the interventions: all, and those that training changes. Linked ones count once.
func (iv *Intervenable) Count() (all, trainable int) {
	frozen := iv.frozenNow()
	for key, value := range iv.values() {
		all += value.Size()
		if iv.kind(key) != Fixed && !frozen[key] {
			trainable += value.Size()
		}
	}
	return all, trainable
}
