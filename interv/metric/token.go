package metric

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// Each lists one token for each example, or the one for all of them: the sides of a [LogitDifference] with a single token each.
func Each(tokens ...int) [][]int {
	lists := make([][]int, len(tokens))
	for i, token := range tokens {
		lists[i] = []int{token}
	}
	return lists
}

// LogitDifference is how much more the model says some tokens than others,
//
//	mean of z_t over t in Right − mean of z_t over t in Wrong,
//
// with the tokens listed for each example, or one list for all: Wang et al., "Interpretability in the Wild" (2022).
type LogitDifference struct {
	Right [][]int `json:"right"`
	Wrong [][]int `json:"wrong"`
}

// Name is "logit_difference".
func (LogitDifference) Name() string { return "logit_difference" }

// Key is empty.
func (LogitDifference) Key() string { return "" }

// TokenData names the tokens of both sides.
func (LogitDifference) TokenData() string { return tokensData }

// Data are the tokens of both sides, [batch, tokens], and what each is multiplied with.
func (m LogitDifference) Data(batch, logits int) (interv.Inputs, error) {
	right, err := perExample("right", m.Right, batch, logits)
	if err != nil {
		return nil, err
	}
	wrong, err := perExample("wrong", m.Wrong, batch, logits)
	if err != nil {
		return nil, err
	}
	mostRight, mostWrong := longest(right), longest(wrong)
	tokens, factors := make([]int32, 0, batch*(mostRight+mostWrong)), make([]float32, 0, batch*(mostRight+mostWrong))
	side := func(list []int, most int, sign float32) {
		for k := range most {
			if k < len(list) {
				tokens, factors = append(tokens, int32(list[k])), append(factors, sign/float32(len(list)))
			} else {
				tokens, factors = append(tokens, 0), append(factors, 0)
			}
		}
	}
	for i := range batch {
		side(right[i], mostRight, 1)
		side(wrong[i], mostWrong, -1)
	}
	return interv.Inputs{
		tokensData:  tensors.FromFlatDataAndDimensions(tokens, batch, mostRight+mostWrong),
		factorsData: tensors.FromFlatDataAndDimensions(factors, batch, mostRight+mostWrong),
	}, nil
}

// Measure is [LogitDifference.MeasureTokens] of the tokens among all logits.
func (m LogitDifference) Measure(r interv.Rows) *Node { return measureTokens(m, r) }

// MeasureTokens is the sum of the logits, each times its factor.
func (LogitDifference) MeasureTokens(logits *Node, data interv.Nodes) *Node {
	return ReduceSum(Mul(logits, ConvertDType(data[factorsData], logits.DType())), -1)
}

// Logit is the logit of a token: z_t.
type Logit struct {
	Tokens []int `json:"tokens"` // one for each example, or one for all
}

// Name is "logit".
func (Logit) Name() string { return "logit" }

// Key is empty.
func (Logit) Key() string { return "" }

// TokenData names the tokens.
func (Logit) TokenData() string { return tokensData }

// Data are the tokens, [batch, 1].
func (m Logit) Data(batch, logits int) (interv.Inputs, error) {
	return oneEach("token", m.Tokens, batch, logits)
}

// Measure is z_t.
func (m Logit) Measure(r interv.Rows) *Node { return measureTokens(m, r) }

// MeasureTokens is the only logit there is.
func (Logit) MeasureTokens(logits *Node, _ interv.Nodes) *Node { return Squeeze(logits, -1) }

// LogProbability is the logarithm of a token's probability: log p_t = z_t − log Σ exp z.
type LogProbability struct {
	Tokens []int `json:"tokens"` // one for each example, or one for all
}

// Name is "log_probability".
func (LogProbability) Name() string { return "log_probability" }

// Key is empty.
func (LogProbability) Key() string { return "" }

// Data are the tokens, [batch, 1].
func (m LogProbability) Data(batch, logits int) (interv.Inputs, error) {
	return oneEach("token", m.Tokens, batch, logits)
}

// Measure is log p_t.
func (LogProbability) Measure(r interv.Rows) *Node {
	return Squeeze(interv.TokenLogits(LogSoftmax(r.Logits, -1), r.Data[tokensData]), -1)
}

// Probability is a token's probability: p_t.
type Probability struct {
	Tokens []int `json:"tokens"` // one for each example, or one for all
}

// Name is "probability".
func (Probability) Name() string { return "probability" }

// Key is empty.
func (Probability) Key() string { return "" }

// Data are the tokens, [batch, 1].
func (m Probability) Data(batch, logits int) (interv.Inputs, error) {
	return oneEach("token", m.Tokens, batch, logits)
}

// Measure is p_t.
func (m Probability) Measure(r interv.Rows) *Node { return Exp(LogProbability(m).Measure(r)) }

func measureTokens(m interv.TokenReader, r interv.Rows) *Node {
	return m.MeasureTokens(interv.TokenLogits(r.Logits, r.Data[m.TokenData()]), r.Data)
}

func init() {
	interv.RegisterMetric("logit_difference", LogitDifference{})
	interv.RegisterMetric("logit", Logit{})
	interv.RegisterMetric("log_probability", LogProbability{})
	interv.RegisterMetric("probability", Probability{})
}
