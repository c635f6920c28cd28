package interv

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// What is drawn is what the definition of top k and top p leaves, each token as often as its share says: a slow count of both.
func TestSamplerDrawsByShares(t *testing.T) {
	const tokens, draws = 6, 4000
	random := rand.New(rand.NewPCG(1, 2))
	for _, how := range []Generation{
		{Temperature: 1}, {Temperature: 0.5}, {Temperature: 2, TopK: 3}, {Temperature: 1, TopP: 0.3}, {Temperature: 1, TopP: 0.6}, {Temperature: 1, TopP: 0.9},
		{Temperature: 0.7, TopP: 0.8}, {Temperature: 1, TopK: 4, TopP: 0.7}, {Temperature: 1, TopP: 1}, {Temperature: 3, TopK: 100, TopP: 0.5},
	} {
		logits := make([]float64, tokens)
		for i := range logits {
			logits[i] = 1.5 * random.NormFloat64()
		}
		want := nucleus(logits, how)
		s, err := newSampler(how)
		if err != nil {
			t.Fatal(err)
		}
		counts := make([]float64, tokens)
		for range draws {
			counts[s.choose(logits)]++
		}
		for token, share := range want {
			if expected := draws * share; share == 0 && counts[token] > 0 || math.Abs(counts[token]-expected) > 5*math.Sqrt(expected*(1-share))+1e-9 {
				t.Errorf("%+v: token %d of %.3f was drawn %g times, wanted about %.1f", how, token, logits, counts[token], expected)
			}
		}
	}
}

// nucleus is the distribution to draw from: softmax(logits/T), of which the k likeliest tokens stay, and of those, by their shares among
// themselves, the fewest that have p together.
func nucleus(logits []float64, how Generation) []float64 {
	shares := make([]float64, len(logits))
	for i, logit := range logits {
		shares[i] = math.Exp(logit / how.Temperature)
	}
	rescale := func() {
		sum := 0.0
		for _, share := range shares {
			sum += share
		}
		for i := range shares {
			shares[i] /= sum
		}
	}
	likeliest := Range(0, len(logits))
	slices.SortFunc(likeliest, func(a, b int) int { return cmp.Compare(shares[b], shares[a]) })
	if how.TopK > 0 {
		for _, token := range likeliest[min(how.TopK, len(logits)):] {
			shares[token] = 0
		}
	}
	rescale()
	if together := 0.0; how.TopP > 0 {
		for _, token := range likeliest {
			if together >= how.TopP {
				shares[token] = 0
			}
			together += shares[token]
		}
	}
	rescale()
	return shares
}
