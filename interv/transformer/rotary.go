package transformer

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Rotary says how queries and keys are rotated by their position p (Su et al., "RoFormer", 2021): of the first Width features of a
// head, feature i and feature i + Width/2 are turned, as a point in the plane, by the angle p·f(i), with f(i) = Base^(−2i/Width)
// unless Scaling says otherwise.
type Rotary struct {
	Width    int     // features that are rotated; the rest of the head passes [partial_rotary_factor · head_dim]
	Base     float64 // [rope_theta]
	Adjacent bool    // it is features 2i and 2i + 1 that are turned by p·f(i)

	// Scaling changes the frequencies, so that a model trained on OriginalPositions reads further [rope_scaling: rope_type]:
	//   - "" or "default": not at all;
	//   - "linear": f/Factor;
	//   - "llama3": f where the wavelength 2π/f is below OriginalPositions/HighFrequency, f/Factor where it is above
	//     OriginalPositions/LowFrequency, and between the two a mean of both, weighted by OriginalPositions/wavelength;
	//   - "yarn" (Peng et al., 2023): f for features that turn more than FastTurns times in OriginalPositions, f/Factor for those that
	//     turn less than SlowTurns times, and a linear ramp over the features between; cosines and sines are multiplied by Magnitude;
	//   - "dynamic" (NTK-aware): as if Base were Base·(Factor·n/OriginalPositions − Factor + 1)^(Width/(Width−2)) in a sequence of
	//     n > OriginalPositions tokens;
	//   - "longrope" (Ding et al., 2024): f/ShortFactors[i] in a sequence of at most OriginalPositions tokens, f/LongFactors[i] in a longer
	//     one; cosines and sines are multiplied by Magnitude.
	//
	// The last two depend on n, the last position of an example plus 1: as transformers computes for that example alone. (Of a batch,
	// transformers takes the longest example's n for all, and a dynamic model there remembers n from the call before.) In a
	// generation, keys in the cache stay as they were rotated when n was smaller, as in transformers; with longrope a generation that
	// begins at or below OriginalPositions and ends above is refused, since all keys would have to be computed anew there.
	Scaling           string
	Factor            float64
	OriginalPositions int
	LowFrequency      float64 // [low_freq_factor]
	HighFrequency     float64 // [high_freq_factor]
	FastTurns         float64 // [beta_fast]
	SlowTurns         float64 // [beta_slow]
	WholeFeatures     bool    // yarn's ramp begins and ends at whole features [truncate]
	Magnitude         float64 // [attention_factor]
	ShortFactors      []float64
	LongFactors       []float64
}

// rotaryScalings are the known values of Rotary.Scaling.
var rotaryScalings = []string{"default", "linear", "llama3", "yarn", "dynamic", "longrope"}

// varies tells whether frequencies depend on the length of the sequence.
func (r Rotary) varies() bool { return r.Scaling == "dynamic" || r.Scaling == "longrope" }

func (r Rotary) validate(headWidth int) error {
	switch r.Scaling {
	case "", "default":
	case "llama3", "yarn", "dynamic", "longrope":
		if r.OriginalPositions < 1 {
			return &interv.Error{Axis: "Rotary.OriginalPositions", Got: fmt.Sprint(r.OriginalPositions), Wanted: "at least 1"}
		}
		if r.Scaling == "longrope" {
			break
		}
		fallthrough
	case "linear":
		if !(r.Factor > 0) {
			return &interv.Error{Axis: "Rotary.Factor", Got: fmt.Sprint(r.Factor), Wanted: "above 0"}
		}
	default:
		return interv.UnknownName("", "Rotary.Scaling", r.Scaling, rotaryScalings)
	}
	if r.Width < 2 || r.Width > headWidth || r.Width%2 != 0 {
		return &interv.Error{Axis: "Rotary.Width", Got: fmt.Sprint(r.Width), Wanted: fmt.Sprintf("an even number from 2 to the head's %d features", headWidth)}
	}
	if !(r.Base > 1) {
		return &interv.Error{Axis: "Rotary.Base", Got: fmt.Sprint(r.Base), Wanted: "above 1"}
	}
	if r.Scaling == "llama3" && !(0 < r.LowFrequency && r.LowFrequency < r.HighFrequency) {
		return &interv.Error{Axis: "Rotary.LowFrequency", Got: fmt.Sprint(r.LowFrequency),
			Wanted: fmt.Sprintf("above 0 and below HighFrequency, %g", r.HighFrequency)}
	}
	if r.Scaling == "yarn" && !(0 < r.SlowTurns && r.SlowTurns <= r.FastTurns && r.Magnitude > 0) {
		return &interv.Error{Axis: "Rotary.SlowTurns, FastTurns and Magnitude",
			Got: fmt.Sprintf("%g, %g and %g", r.SlowTurns, r.FastTurns, r.Magnitude), Wanted: "all above 0, SlowTurns not above FastTurns"}
	}
	if r.Scaling == "dynamic" && r.Width == 2 {
		return &interv.Error{Axis: "Rotary.Width", Got: "2", Wanted: "at least 4, for the exponent Width/(Width − 2) of dynamic scaling"}
	}
	if r.Scaling == "longrope" {
		return r.validateFactors()
	}
	return nil
}

func (r Rotary) validateFactors() error {
	if !(r.Magnitude > 0) || math.IsInf(r.Magnitude, 1) {
		return &interv.Error{Axis: "Rotary.Magnitude", Got: fmt.Sprint(r.Magnitude), Wanted: "above 0"}
	}
	for _, list := range []struct {
		name    string
		factors []float64
	}{{"ShortFactors", r.ShortFactors}, {"LongFactors", r.LongFactors}} {
		if len(list.factors) != r.Width/2 {
			return &interv.Error{Axis: "Rotary." + list.name, Got: fmt.Sprint(len(list.factors)), Wanted: fmt.Sprintf("%d, one for each pair of features", r.Width/2)}
		}
		for i, factor := range list.factors {
			if !(factor > 0) || math.IsInf(factor, 1) {
				return &interv.Error{Axis: fmt.Sprintf("Rotary.%s, number %d", list.name, i), Got: fmt.Sprint(factor), Wanted: "above 0"}
			}
		}
	}
	return nil
}

// frequencies are f(0) to f(Width/2 − 1), those of a short sequence if they depend on its length. Powers are rounded to float32 as
// PyTorch computes them, since at position 10⁴ a last bit of the frequency is visible in the logits.
func (r Rotary) frequencies() []float32 {
	frequencies := make([]float32, r.Width/2)
	for i := range frequencies {
		power := float32(math.Pow(r.Base, float64(float32(2*i)/float32(r.Width))))
		f := 1 / power
		switch r.Scaling {
		case "longrope":
			f = 1 / (float32(r.ShortFactors[i]) * power)
		case "linear":
			f /= float32(r.Factor)
		case "llama3":
			f = r.llama3(f)
		case "yarn":
			slow := r.ramp(i)
			f = (1/(float32(r.Factor)*power))*slow + f*(1-slow)
		}
		frequencies[i] = f
	}
	return frequencies
}

func (r Rotary) llama3(f float32) float32 {
	turns := float64(r.OriginalPositions) * float64(f) / (2 * math.Pi) // OriginalPositions / wavelength
	smooth := (turns - r.LowFrequency) / (r.HighFrequency - r.LowFrequency)
	smooth = min(max(smooth, 0), 1)
	return float32((1-smooth)*float64(f)/r.Factor + smooth*float64(f))
}

// ramp is how far yarn slows feature i down: 0 for not at all, 1 for wholly.
func (r Rotary) ramp(i int) float32 {
	// feature is the one that turns a number of times within OriginalPositions.
	feature := func(turns float64) float64 {
		return float64(r.Width) * math.Log(float64(r.OriginalPositions)/(turns*2*math.Pi)) / (2 * math.Log(r.Base))
	}
	first, last := feature(r.FastTurns), feature(r.SlowTurns)
	if r.WholeFeatures {
		first, last = math.Floor(first), math.Ceil(last)
	}
	first, last = max(first, 0), min(last, float64(r.Width-1))
	if first == last {
		last += 0.001
	}
	return float32(min(max((float64(i)-first)/(last-first), 0), 1))
}

// rotation is a Rotary at the positions of a run: cosines and sines of all angles, each [batch or 1, 1, positions, Width/2].
type rotation struct {
	Rotary
	cos, sin *Node
}

// at takes positions [batch or 1, positions], of examples of some length [batch or 1, 1], to their rotation, in the element type of like.
func (r Rotary) at(positions, length, like *Node) rotation {
	frequencies := r.table(like, r.frequencies())
	if r.varies() {
		long := GreaterThan(length, Scalar(length.Graph(), length.DType(), r.OriginalPositions))
		dimensions := []int{length.Shape().Dim(0), 1, 1, r.Width / 2}
		frequencies = Where(BroadcastToDims(ExpandDims(long, 1, 1), dimensions...), BroadcastToDims(r.long(length, like), dimensions...),
			BroadcastToDims(frequencies, dimensions...))
	}
	angles := Mul(ExpandDims(ConvertDType(positions, like.DType()), 1, -1), frequencies)
	cos, sin := Cos(angles), Sin(angles)
	if r.Scaling == "yarn" || r.Scaling == "longrope" {
		cos, sin = MulScalar(cos, r.Magnitude), MulScalar(sin, r.Magnitude)
	}
	return rotation{r, cos, sin}
}

// table is numbers, one for each pair of features, [1, 1, 1, Width/2].
func (r Rotary) table(like *Node, numbers []float32) *Node {
	return ConvertDType(Const(like.Graph(), [][][][]float32{{{numbers}}}), like.DType())
}

// long is the frequencies in sequences of length > OriginalPositions, [batch or 1, 1, 1, Width/2].
func (r Rotary) long(length, like *Node) *Node {
	if r.Scaling == "longrope" {
		r.ShortFactors = r.LongFactors
		return r.table(like, r.frequencies())
	}
	exponents := make([]float32, r.Width/2)
	for i := range exponents {
		exponents[i] = float32(2*i) / float32(r.Width)
	}
	n := ExpandDims(ConvertDType(MaxScalar(length, r.OriginalPositions), like.DType()), 1, 1)
	stretch := AddScalar(DivScalar(MulScalar(n, r.Factor), float64(r.OriginalPositions)), 1-r.Factor)
	base := MulScalar(PowScalar(stretch, float64(r.Width)/float64(r.Width-2)), r.Base)
	return Inverse(Pow(base, r.table(like, exponents)))
}

// apply rotates x, [batch, heads, positions, head width].
func (r rotation) apply(x *Node) *Node {
	half := r.Width / 2
	a, b := features(x, 0, half), features(x, half, r.Width)
	if r.Adjacent {
		pairs := features(x, 0, r.Width)
		pairs = Reshape(pairs, append(pairs.Shape().Clone().Dimensions[:3], half, 2)...)
		a, b = Squeeze(features(pairs, 0, 1), -1), Squeeze(features(pairs, 1, 2), -1)
	}
	parts := []*Node{Sub(Mul(a, r.cos), Mul(b, r.sin)), Add(Mul(b, r.cos), Mul(a, r.sin))}
	if r.Adjacent {
		turned := Stack(parts, -1)
		parts = []*Node{Reshape(turned, append(turned.Shape().Clone().Dimensions[:3], r.Width)...)}
	}
	if r.Width < x.Shape().Dim(-1) {
		parts = append(parts, features(x, r.Width, x.Shape().Dim(-1)))
	}
	return Concatenate(parts, -1)
}

// longMagnitude is the factor on cosines and sines that longrope's authors recommend, for a model that reads factor times as far.
func longMagnitude(factor float64, originalPositions int) float64 {
	if factor <= 1 {
		return 1
	}
	return math.Sqrt(1 + math.Log(factor)/math.Log(float64(originalPositions)))
}

// yarnMagnitude is the factor on cosines and sines that yarn's authors recommend.
func yarnMagnitude(factor, scale float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*scale*math.Log(factor) + 1
}
