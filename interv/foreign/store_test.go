package foreign_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
)

// dense is a GoMLX graph function: hidden is a hyperparameter.
func dense(scope *model.Scope, inputs interv.Nodes) *Node {
	x := inputs["x"]
	h := Tanh(layers.Dense(scope.In("up"), x, true, model.GetParamOr(scope, "hidden", 1))).WithAlias("hidden")
	return layers.Dense(scope.In("down"), h, false, width)
}

const hidden = 6

// trained is a store as training leaves it, with things that the model does not use.
func trained() *model.Store {
	store := model.NewStore()
	store.SetParam("/hidden", hidden)
	for name, value := range map[string]*tensors.Tensor{
		"/up/dense/weights": random(1, width, hidden), "/up/dense/biases": random(2, hidden), "/down/dense/weights": random(3, hidden, width),
		"/optimizer/moment": random(4, 2), "/optimizer/step": tensors.FromScalar(int64(7)),
	} {
		store.VariableWithValue(name, value)
	}
	return store
}

func denseDescription() foreign.Description {
	d, _ := plain()
	d.Sites = []foreign.Sites{
		{Sites: interv.Sites{Component: "hidden", Layers: 1, Width: hidden}, Find: foreign.Alias("hidden")},
		{Sites: interv.Sites{Component: "up", Layers: 1, Width: hidden}, Find: foreign.Module("/up")},
	}
	return d
}

// The output is that of GoMLX's own executor, and the store is as it was.
func TestFromStore(t *testing.T) {
	store := trained()
	m := foreign.MustFromStore(engine, denseDescription(), store, dense)
	want := model.MustNewExec(engine, store, func(scope *model.Scope, x *Node) *Node {
		return dense(scope, interv.Nodes{"x": x})
	}).MustCall(base["x"])[0]
	if got := interv.MustNew(engine, m, interv.Config{}).MustForward(base); !got.Equal(want) {
		t.Errorf("got %v, wanted %v", got, want)
	}
	config, call := patch("hidden")
	if result := interv.MustNew(engine, m, config).MustRun(call); !result.BaseOutput.Equal(want) || result.Output.Equal(want) {
		t.Errorf("the base output is %v, wanted %v; the output is %v, wanted another", result.BaseOutput, want, result.Output)
	}
	if names := m.Weights().Names(); len(names) != 3 || names[0] != "/down/dense/weights" {
		t.Errorf("got weights %v, wanted the three that the model uses", names)
	}
	fresh := trained()
	if store.NumVariables() != fresh.NumVariables() {
		t.Errorf("the store has %d variables, had %d", store.NumVariables(), fresh.NumVariables())
	}
	for v := range fresh.IterVariables() {
		if !store.GetVariable(v.Path()).MustValue().Equal(v.MustValue()) {
			t.Errorf("%s changed", v.Path())
		}
	}
}

func TestStoreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		store *model.Store
		build foreign.BuildScoped
		words []string
	}{
		"empty store": {model.NewStore(), dense, []string{"plain", "variable /", "no value", "initialized"}},
		"another store": {trained(), func(_ *model.Scope, inputs interv.Nodes) *Node {
			return dense(trained().RootScope(), inputs)
		}, []string{"parameter \"/up/dense/weights\"", "nothing feeds"}},
		"training": {trained(), func(scope *model.Scope, inputs interv.Nodes) *Node {
			v := scope.Store().GetVariable("/up/dense/biases")
			v.SetNodeValue(Neg(v.NodeValue(inputs["x"])))
			return dense(scope, inputs)
		}, []string{"variable /up/dense/biases", "training"}},
		"whole numbers": {trained(), func(scope *model.Scope, inputs interv.Nodes) *Node {
			step := scope.Store().GetVariable("/optimizer/step").NodeValue(inputs["x"])
			return Add(dense(scope, inputs), ConvertDType(step, inputs["x"].DType()))
		}, []string{"/optimizer/step", "int64"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := denseDescription()
			d.Sites = nil
			_, err := foreign.FromStore(engine, d, c.store, c.build)
			wanted.Refusal(t, err, c.words...)
		})
	}
}

// A variable that only some runs make has no weight.
func TestVariableOfOneRun(t *testing.T) {
	d := denseDescription()
	m := foreign.MustFromStore(engine, d, trained(), func(scope *model.Scope, inputs interv.Nodes) *Node {
		if inputs["x"].Shape().Dim(1) == 5 {
			scope.In("late").VariableWithValue("v", float32(1))
		}
		return dense(scope, inputs)
	})
	config, call := patch("hidden")
	_, err := interv.MustNew(engine, m, config).Run(call)
	wanted.Refusal(t, err, "variable /late/v", "makes")
}
