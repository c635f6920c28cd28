package foreign

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// BuildScoped adds one run of a model to a graph, as a function for GoMLX's model.Exec does: it takes its variables from the scope, each
// time from the root of a store.
type BuildScoped func(scope *model.Scope, inputs interv.Nodes) *Node

// FromStore makes a model from a GoMLX graph function and the store that holds its variables. The variables that the function uses
// become the model's weights, under their paths: "/layer_0/dense/weights". They must have values, as after loading a checkpoint or after
// training. The function never gets the store itself but a copy of its hyperparameters with variables that stand for the model's weights,
// so that nothing in the store changes. Values are not copied, so a variable of the store must not be set while the model is in use: GoMLX
// frees what it held before.
func FromStore(backend compute.Backend, description Description, store *model.Store, build BuildScoped) (*Model, error) {
	if err := description.check(); err != nil {
		return nil, err
	}
	values, err := used(backend, description, store, build)
	if err != nil {
		return nil, interv.Within(description.Name, err)
	}
	return New(backend, description, values, func(weights, inputs interv.Nodes) *Node {
		bound := bind(store, weights, values)
		output := build(bound.RootScope(), inputs)
		for v := range bound.IterVariables() {
			if weight := weights[v.Path()]; weight == nil || v.NodeValue(weight.Graph()) != weight {
				panic(&interv.Error{Where: description.Name, Axis: "variable " + v.Path(), Got: "a run that makes or changes it",
					Wanted: "a run that reads it, as a model does that is not in training"})
			}
		}
		return output
	})
}

// MustFromStore is FromStore that panics on an error.
func MustFromStore(backend compute.Backend, description Description, store *model.Store, build BuildScoped) *Model {
	return must.Of(FromStore(backend, description, store, build))
}

// used are the values of the variables that a trial run asks for.
func used(backend compute.Backend, description Description, store *model.Store, build BuildScoped) (map[string]*tensors.Tensor, error) {
	g := NewGraph(backend, "variables of "+description.Name)
	defer g.Finalize()
	asked := hyperparameters(store)
	asked.SetLoader(lender{store})
	if err := exceptions.TryCatch[error](func() {
		model.SetStore(g, asked)
		build(asked.RootScope(), description.parameters(g))
	}); err != nil {
		return nil, err
	}
	values := map[string]*tensors.Tensor{}
	for v := range asked.IterVariables() {
		if !v.HasValue() {
			return nil, &interv.Error{Axis: "variable " + v.Path(), Got: fmt.Sprintf("no value of shape %s in the store", v.Shape()),
				Wanted: "one that was loaded, trained or initialized"}
		}
		value, err := v.Value()
		if err != nil {
			return nil, err
		}
		values[v.Path()] = value
	}
	return values, nil
}

// hyperparameters is a new store that holds those of another.
func hyperparameters(store *model.Store) *model.Store {
	copied := model.NewStore()
	for path, value := range store.IterParams() {
		copied.SetParam(path, value)
	}
	return copied
}

// lender lends the values of a store's variables to another store that asks for them.
type lender struct{ store *model.Store }

func (l lender) LoadVariable(_ *model.Store, path string) (*tensors.Tensor, bool) {
	v := l.store.GetVariable(path)
	if v == nil || !v.HasValue() {
		return nil, false
	}
	value, err := v.Value()
	return value, err == nil
}

func (lender) DeleteVariable(*model.Store, string) error { return nil }

// bind is a store whose variables are nodes of a graph. GoMLX gives each variable that a graph uses a parameter of its own before
// another node can be set in its place, and the graph would have to be fed with it; so it is shown a scalar constant first, which nothing
// reads.
func bind(store *model.Store, weights interv.Nodes, values map[string]*tensors.Tensor) *model.Store {
	bound := hyperparameters(store)
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		weight := weights[name]
		model.SetStore(weight, bound)
		v := bound.VariableWithValue(name, float32(0))
		bound.WithVariableAsConst(true)
		v.NodeValue(weight)
		bound.WithVariableAsConst(false)
		if err := v.SetValuePreservingOld(values[name]); err != nil {
			panic(err)
		}
		v.SetNodeValue(weight)
	}
	return bound
}
