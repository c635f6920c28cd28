package training

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// The names of labels that [CrossEntropy] and accuracies read: classes, int32, of the shape of the output without its last axis, [batch] or
// [batch, positions]. In the latter −1 says that a position does not count.
const (
	Label     = "label"      // what the output should be: after an interchange, what the causal model says
	BaseLabel = "base_label" // of an interchange, what the clean output on the base should be; the call needs WithBase
)

// CrossEntropy is the mean of −log p of the labels. Of an interchange with base labels it is that of the counterfactual output, plus that of
// the clean output on the base: the interchange's loss and the factual one.
func CrossEntropy(o interv.Outcome) *Node {
	loss := CrossEntropyOf(o.Output, o.Labels[Label])
	if base := o.Labels[BaseLabel]; base != nil {
		loss = Add(loss, CrossEntropyOf(o.BaseOutput, base))
	}
	return loss
}

// CrossEntropyOf is the mean of −log p of labels, int32 […], under logits […, classes], over the labels that are not negative.
func CrossEntropyOf(logits, labels *Node) *Node {
	wanted := OneHot(labels, logits.Shape().Dim(-1), logits.DType())
	return Neg(Div(ReduceAllSum(Mul(wanted, LogSoftmax(logits, -1))), ReduceAllSum(counted(logits, labels))))
}

// counted is 1 for each label that is not negative.
func counted(logits, labels *Node) *Node {
	return ConvertDType(GreaterOrEqual(labels, ScalarZero(labels.Graph(), labels.DType())), logits.DType())
}

// right counts the labels that have the largest logit, and those that count.
func right(logits, labels *Node) (right, all *Node) {
	best := ConvertDType(Equal(ArgMax(logits, -1, dtypes.Int32), labels), logits.DType())
	return ReduceAllSum(best), ReduceAllSum(counted(logits, labels))
}

// LabelsAt are labels of one position, int32 [batch, positions]; all others are −1, and do not count. A position below 0 counts from the end;
// one that is not there is an error.
func LabelsAt(position, positions int, labels []int) (*tensors.Tensor, error) {
	if position < 0 {
		position += positions
	}
	if position < 0 || position >= positions {
		return nil, &interv.Error{Where: "labels", Axis: "position", Got: fmt.Sprint(position), Wanted: fmt.Sprintf("one of %d, or below 0 from the end", positions)}
	}
	flat := slices.Repeat([]int32{-1}, len(labels)*positions)
	for i, label := range labels {
		flat[i*positions+position] = int32(label)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(labels), positions), nil
}

// NextTokens are the labels with which a language model learns, int32 [batch, positions]: at each position the token of the next one, where
// both are no padding, and −1 elsewhere. The first positions that are no padding, so many as are given, do not count, as nobody can know what
// follows them. Inputs without input_ids are an error.
func NextTokens(inputs interv.Inputs, given int) (*tensors.Tensor, error) {
	ids, err := inputs.Require(interv.InputIDs, dtypes.Int32, interv.Any, interv.Any)
	if err != nil {
		return nil, err
	}
	positions := ids.Shape().Dim(1)
	flat, labels := tensors.MustCopyFlatData[int32](ids), slices.Repeat([]int32{-1}, ids.Size())
	var mask []int32
	if inputs[interv.AttentionMask] != nil {
		t, err := inputs.Require(interv.AttentionMask, dtypes.Int32, ids.Shape().Dimensions...)
		if err != nil {
			return nil, err
		}
		mask = tensors.MustCopyFlatData[int32](t)
	}
	start := 0 // of an example
	for i := range labels {
		position := i % positions
		if position == 0 {
			start = 0
		}
		if mask != nil && position == start && mask[i] == 0 {
			start++
		}
		if position-start >= given && position+1 < positions && (mask == nil || mask[i] == 1 && mask[i+1] == 1) {
			labels[i] = flat[i+1]
		}
	}
	return tensors.FromFlatDataAndDimensions(labels, ids.Shape().Dimensions...), nil
}

// numbersOf are the loss and, for labels that are there, how many are right and how many count: of the output, then of the base's.
func numbersOf(loss interv.Loss) func(o interv.Outcome) *Node {
	return func(o interv.Outcome) *Node {
		value := loss(o)
		zero := ScalarZero(value.Graph(), value.DType())
		numbers := []*Node{value, zero, zero, zero, zero}
		for i, of := range []struct {
			name   string
			output *Node
		}{{Label, o.Output}, {BaseLabel, o.BaseOutput}} {
			if labels := o.Labels[of.name]; labels != nil && labels.DType() == dtypes.Int32 && of.output != nil {
				numbers[1+2*i], numbers[2+2*i] = right(of.output, labels)
			}
		}
		for i := range numbers {
			numbers[i] = ConvertDType(numbers[i], value.DType())
		}
		return Stack(numbers, 0)
	}
}

// tally adds up the numbers of several calls; a loss weighs as much as labels count in it.
type tally struct{ loss, weight, right, all, baseRight, baseAll float64 }

func (t *tally) add(numbers []float64) {
	weight := max(1, numbers[2])
	t.loss, t.weight = t.loss+weight*numbers[0], t.weight+weight
	t.right, t.all, t.baseRight, t.baseAll = t.right+numbers[1], t.all+numbers[2], t.baseRight+numbers[3], t.baseAll+numbers[4]
}

// means are the mean loss and the accuracies, NaN where no labels are.
func (t *tally) means() (loss, accuracy, baseAccuracy float64) {
	share := func(part, of float64) float64 {
		if of == 0 {
			return math.NaN()
		}
		return part / of
	}
	return share(t.loss, t.weight), share(t.right, t.all), share(t.baseRight, t.baseAll)
}

// border refuses calls that a model cannot be trained on.
type border struct {
	backend     compute.Backend
	model       interv.Model
	iv          *interv.Intervenable
	needsLabels bool

	mu      sync.Mutex
	first   string                  // the shapes of the stream's first batch
	outputs map[string]shapes.Shape // of the model on inputs of these shapes
}

// prepare checks a call and moves it to the device. Calls of the stream have the shapes of its first.
func (b *border) prepare(call interv.Call, ofStream bool) (*interv.Prepared, error) {
	prepared, err := b.iv.Prepare(call)
	if err != nil {
		return nil, err
	}
	key := shapesOf(call)
	b.mu.Lock()
	defer b.mu.Unlock()
	output, known := b.outputs[key]
	if !known {
		if output, err = interv.OutputShape(b.backend, b.model, call.Base); err != nil {
			return nil, err
		}
		if b.outputs == nil {
			b.outputs = map[string]shapes.Shape{}
		}
		b.outputs[key] = output
	}
	if err := b.checkLabels(call, Label, output, b.needsLabels); err != nil {
		return nil, err
	}
	if call.Labels[BaseLabel] != nil && !call.WithBase {
		return nil, &interv.Error{Axis: "call with " + BaseLabel, Got: "no WithBase", Wanted: "WithBase: true, as the clean output is to be compared"}
	}
	if err := b.checkLabels(call, BaseLabel, output, false); err != nil {
		return nil, err
	}
	if ofStream && b.first == "" {
		b.first = key
	}
	if ofStream && b.first != key {
		return nil, &interv.Error{Axis: "shapes", Got: key, Wanted: b.first + ", as in the first batch"}
	}
	return prepared, nil
}

// checkLabels refuses labels that are no classes of an output.
func (b *border) checkLabels(call interv.Call, name string, output shapes.Shape, needed bool) (err error) {
	labels := call.Labels[name]
	if labels == nil || labels.DType() != dtypes.Int32 {
		if !needed {
			return nil
		}
		got := "none"
		if labels != nil {
			got = labels.DType().String()
		}
		return &interv.Error{Axis: "label " + name, Got: got, Wanted: "classes, int32"}
	}
	dimensions := output.Dimensions
	axes, classes := dimensions[:len(dimensions)-1], dimensions[len(dimensions)-1]
	if !slices.Equal(labels.Shape().Dimensions, axes) {
		return &interv.Error{Axis: "label " + name, Got: fmt.Sprintf("shape %v", labels.Shape().Dimensions),
			Wanted: fmt.Sprintf("%v, as the output is %v (training.LabelsAt makes labels of one position)", axes, dimensions)}
	}
	least := 0
	if len(axes) > 1 {
		least = -1
	}
	counts := false
	tensors.MustConstFlatData(labels, func(flat []int32) {
		for i, label := range flat {
			counts = counts || label >= 0
			if err == nil && (int(label) < least || int(label) >= classes) {
				err = &interv.Error{Axis: fmt.Sprintf("label %s, element %d", name, i), Got: fmt.Sprint(label), Wanted: fmt.Sprintf("%d to %d", least, classes-1)}
			}
		}
	})
	if err == nil && !counts {
		err = &interv.Error{Axis: "label " + name, Got: "none that counts", Wanted: "at least one of 0 or more"}
	}
	return err
}

// shapesOf describes the shapes of a call's tensors.
func shapesOf(call interv.Call) string {
	text := "base" + shapesOfAll(call.Base)
	for i, source := range call.Sources {
		text += fmt.Sprintf(", source %d%s", i, shapesOfAll(source))
	}
	return text + ", labels" + shapesOfAll(call.Labels)
}

func shapesOfAll(list interv.Inputs) string {
	text := ""
	for _, name := range sortedNames(list) {
		text += fmt.Sprintf(" %s %s", name, list[name].Shape())
	}
	return text
}
