package interv

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler picks tokens by their logits. It draws one number a token, so the same seed picks the same tokens.
type sampler struct {
	how    Generation
	random *rand.Rand
}

func newSampler(how Generation) (*sampler, error) {
	wrong := func(axis string, got any, wanted string) (*sampler, error) {
		return nil, &Error{Where: "generation", Axis: axis, Got: fmt.Sprint(got), Wanted: wanted}
	}
	switch {
	case !(how.Temperature >= 0) || math.IsInf(how.Temperature, 0):
		return wrong("temperature", how.Temperature, "a finite number of at least 0")
	case how.TopK < 0:
		return wrong("top k", how.TopK, "0 (all) or more")
	case !(how.TopP >= 0 && how.TopP <= 1):
		return wrong("top p", how.TopP, "0 (all) to 1")
	case how.Temperature == 0 && (how.TopK > 0 || how.TopP > 0):
		return wrong("temperature", 0, "above 0 with top k or top p: at 0 the likeliest token is taken")
	}
	return &sampler{how, rand.New(rand.NewPCG(how.Seed, 0))}, nil
}

// choose is the likeliest token at temperature 0, the first of equals; else one drawn from what top k and top p leave of softmax(logits/T).
func (s *sampler) choose(logits []float64) int {
	if s.how.Temperature == 0 {
		best := 0
		for token, logit := range logits {
			if logit > logits[best] {
				best = token
			}
		}
		return best
	}
	order := Range(0, len(logits))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	if s.how.TopK > 0 {
		order = order[:min(s.how.TopK, len(order))]
	}
	shares, sum := make([]float64, len(order)), 0.0
	for i, token := range order {
		shares[i] = math.Exp((logits[token] - logits[order[0]]) / s.how.Temperature)
		sum += shares[i]
	}
	if s.how.TopP > 0 {
		kept := 0.0
		for i, share := range shares {
			if kept += share; kept >= s.how.TopP*sum {
				shares, sum = shares[:i+1], kept
				break
			}
		}
	}
	left := s.random.Float64() * sum
	for i, share := range shares {
		if left -= share; left < 0 {
			return order[i]
		}
	}
	return order[len(shares)-1]
}
