package metric

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// CrossEntropy is the loss of saying a label: −log p_label.
type CrossEntropy struct {
	Labels []int `json:"labels"` // one for each example, or one for all
}

// Name is "cross_entropy".
func (CrossEntropy) Name() string { return "cross_entropy" }

// Key is empty.
func (CrossEntropy) Key() string { return "" }

// Data are the labels, [batch, 1].
func (m CrossEntropy) Data(batch, logits int) (interv.Inputs, error) {
	return oneEach("label", m.Labels, batch, logits)
}

// Measure is −log p_label.
func (CrossEntropy) Measure(r interv.Rows) *Node { return Neg(LogProbability{}.Measure(r)) }

// Accuracy is 1 where the label has the largest logit and 0 elsewhere, of equal logits the first counting as the largest. With the labels
// of counterfactual outputs its mean is IIA, the interchange intervention accuracy. It has no gradient.
type Accuracy struct {
	Labels []int `json:"labels"` // one for each example, or one for all
}

// Name is "accuracy".
func (Accuracy) Name() string { return "accuracy" }

// Counts is true.
func (Accuracy) Counts() bool { return true }

// Key is empty.
func (Accuracy) Key() string { return "" }

// Data are the labels, [batch, 1].
func (m Accuracy) Data(batch, logits int) (interv.Inputs, error) {
	return oneEach("label", m.Labels, batch, logits)
}

// Measure compares the largest logit's place with the label.
func (Accuracy) Measure(r interv.Rows) *Node {
	return ConvertDType(Equal(ArgMax(r.Logits, -1), Squeeze(r.Data[tokensData], -1)), r.Logits.DType())
}

// Rank is how many tokens have a larger logit than a token: 0 for the likeliest. It has no gradient.
type Rank struct {
	Tokens []int `json:"tokens"` // one for each example, or one for all
}

// Name is "rank".
func (Rank) Name() string { return "rank" }

// Counts is true.
func (Rank) Counts() bool { return true }

// Key is empty.
func (Rank) Key() string { return "" }

// Data are the tokens, [batch, 1].
func (m Rank) Data(batch, logits int) (interv.Inputs, error) {
	return oneEach("token", m.Tokens, batch, logits)
}

// Measure counts the larger logits.
func (Rank) Measure(r interv.Rows) *Node {
	own := BroadcastToShape(interv.TokenLogits(r.Logits, r.Data[tokensData]), r.Logits.Shape())
	return ReduceSum(ConvertDType(GreaterThan(r.Logits, own), r.Logits.DType()), -1)
}

// KL is how far a run's distribution is from the clean run's, the Kullback-Leibler divergence with q = softmax(z of the clean run):
//
//	KL(q ‖ p) = Σ q (log q − log p)
//
// as in Conmy et al., "Towards Automated Circuit Discovery" (2023).
type KL struct{}

// Name is "kl".
func (KL) Name() string { return "kl" }

// Key is empty.
func (KL) Key() string { return "" }

// ReadsClean is true.
func (KL) ReadsClean() bool { return true }

// Data is none.
func (KL) Data(int, int) (interv.Inputs, error) { return nil, nil }

// Measure is Σ q (log q − log p).
func (KL) Measure(r interv.Rows) *Node {
	q, p := LogSoftmax(r.Clean, -1), LogSoftmax(r.Logits, -1)
	return ReduceSum(Mul(Exp(q), Sub(q, p)), -1)
}

// TopTokens are the K likeliest tokens, the likeliest first and of equal ones the first, each with its probability: [batch, K, 2], a
// token's number and p of it. See [Tops]. It has no gradient.
type TopTokens struct {
	K int `json:"k"`
}

// Name is "top_tokens".
func (TopTokens) Name() string { return "top_tokens" }

// Key is K.
func (m TopTokens) Key() string { return fmt.Sprint(m.K) }

// Data is none; a K below 1 or above the number of logits is refused.
func (m TopTokens) Data(_, logits int) (interv.Inputs, error) {
	if m.K < 1 || m.K > logits {
		return nil, &interv.Error{Axis: "k", Got: fmt.Sprint(m.K), Wanted: fmt.Sprintf("1 to %d, of which the model has logits", logits)}
	}
	return nil, nil
}

// Measure takes the largest K times, each time without those taken before.
func (m TopTokens) Measure(r interv.Rows) *Node {
	z, p := r.Logits, LogSoftmax(r.Logits, -1)
	number := Iota(z.Graph(), z.Shape().Clone(), 1)
	var pairs []*Node
	for range m.K {
		token := ExpandDims(ArgMax(z, -1), -1) // [rows, 1]
		taken := ConvertDType(token, z.DType())
		pairs = append(pairs, Concatenate([]*Node{taken, Exp(interv.TokenLogits(p, token))}, -1))
		z = Where(Equal(number, BroadcastToShape(taken, z.Shape())), Infinity(z.Graph(), z.DType(), -1), z)
	}
	return Stack(pairs, 1)
}

// Top is one of the likeliest tokens.
type Top struct {
	Token       int
	Probability float64
}

// Tops reads the value of [TopTokens], [example][K]. A tensor of another shape is an error.
func Tops(value *tensors.Tensor) ([][]Top, error) {
	if value == nil || value.Rank() != 3 || value.Shape().Dim(2) != 2 || value.DType() != dtypes.Float32 && value.DType() != dtypes.Float64 {
		got := "none"
		if value != nil {
			got = value.Shape().String()
		}
		return nil, &interv.Error{Where: "Tops", Got: got, Wanted: "the value of TopTokens, [batch, K, 2]"}
	}
	numbers := host.Floats(value)
	tops := make([][]Top, value.Shape().Dim(0))
	for i := range tops {
		for range value.Shape().Dim(1) {
			tops[i] = append(tops[i], Top{int(numbers[0]), numbers[1]})
			numbers = numbers[2:]
		}
	}
	return tops, nil
}

// MustTops is Tops that panics on an error.
func MustTops(value *tensors.Tensor) [][]Top { return must.Of(Tops(value)) }

func init() {
	interv.RegisterMetric("cross_entropy", CrossEntropy{})
	interv.RegisterMetric("accuracy", Accuracy{})
	interv.RegisterMetric("rank", Rank{})
	interv.RegisterMetric("kl", KL{})
	interv.RegisterMetric("top_tokens", TopTokens{})
}
