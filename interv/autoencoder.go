package interv

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
)

// The interventions of this file exchange activations in the latents of an autoencoder: both sides are encoded, z takes the source's
// latents where they are selected and keeps the base's elsewhere, and z is decoded. A subspace selects latents. Parameters start at
// random; trained ones come from [LoadAutoencoder] or SetParameters.
//
// What the autoencoder cannot reconstruct is lost, unless KeepError adds the base's reconstruction error back, so that selecting
// nothing changes nothing: out = decode(z) + (b − decode(encode(b))). Marks et al., "Sparse Feature Circuits" (2024).

// Autoencoder exchanges latents z = ReLU(W (x − c) + encoder bias), decoded as V z + c. encoder_weight W is [Latents, width],
// encoder_bias [Latents], decoder_weight V [width, Latents], decoder_bias c [width]; all are trainable.
type Autoencoder struct {
	Latents   int  `json:"latents"` // at least 1; times the width at most 2³²
	KeepError bool `json:"keep_error,omitempty"`
}

// Name is "autoencoder".
func (Autoencoder) Name() string { return "autoencoder" }

// Features is the number of latents: a subspace selects latents.
func (a Autoencoder) Features(int) int { return a.Latents }

// Parameters are random weights of variance 1/width, the decoder's the transpose of the encoder's, and biases of 0.
func (a Autoencoder) Parameters(width int, random *rand.Rand) ([]Owned, error) {
	encoder, decoder, err := randomAutoencoder(a.Latents, width, random)
	if err != nil {
		return nil, err
	}
	return []Owned{
		{"encoder_weight", Free, encoder}, {"encoder_bias", Free, filled(0, a.Latents)},
		{"decoder_weight", Free, decoder}, {"decoder_bias", Free, filled(0, width)},
	}, nil
}

// Apply builds V z + c.
func (a Autoencoder) Apply(v Values) *Node {
	p := v.Parameters
	vector := func(name string) *Node { return ExpandLeftToRank(p[name], v.Base.Rank()) }
	encode := func(x *Node) *Node {
		return rectified(Add(unproject(Sub(x, vector("decoder_bias")), p["encoder_weight"]), vector("encoder_bias")))
	}
	decode := func(z *Node) *Node { return Add(unproject(z, p["decoder_weight"]), vector("decoder_bias")) }
	return exchangeLatents(v, encode, decode, a.KeepError)
}

// JumpReLUAutoencoder exchanges latents z = ReLU(p)·[p > threshold], p = x W_enc + b_enc, decoded as z W_dec + b_dec. W_enc is [width,
// Latents], b_enc and threshold [Latents], W_dec [Latents, width], b_dec [width]; the threshold is not trained, and a latent below it
// passes no gradient. Rajamanoharan et al., "Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU Sparse Autoencoders" (2024).
type JumpReLUAutoencoder struct {
	Latents   int  `json:"latents"` // at least 1; times the width at most 2³²
	KeepError bool `json:"keep_error,omitempty"`
}

// Name is "jumprelu_autoencoder".
func (JumpReLUAutoencoder) Name() string { return "jumprelu_autoencoder" }

// Features is the number of latents: a subspace selects latents.
func (a JumpReLUAutoencoder) Features(int) int { return a.Latents }

// Parameters are random weights of variance 1/width, the decoder's the transpose of the encoder's, biases of 0, thresholds of 0.
func (a JumpReLUAutoencoder) Parameters(width int, random *rand.Rand) ([]Owned, error) {
	decoder, encoder, err := randomAutoencoder(a.Latents, width, random)
	if err != nil {
		return nil, err
	}
	return []Owned{
		{"W_enc", Free, encoder}, {"b_enc", Free, filled(0, a.Latents)}, {"threshold", Fixed, filled(0, a.Latents)},
		{"W_dec", Free, decoder}, {"b_dec", Free, filled(0, width)},
	}, nil
}

// Apply builds z W_dec + b_dec.
func (a JumpReLUAutoencoder) Apply(v Values) *Node {
	p := v.Parameters
	vector := func(name string) *Node { return ExpandLeftToRank(p[name], v.Base.Rank()) }
	encode := func(x *Node) *Node {
		before := Add(project(x, p["W_enc"]), vector("b_enc"))
		open := GreaterThan(before, BroadcastToShape(vector("threshold"), before.Shape()))
		return Where(open, rectified(before), ZerosLike(before))
	}
	decode := func(z *Node) *Node { return Add(project(z, p["W_dec"]), vector("b_dec")) }
	return exchangeLatents(v, encode, decode, a.KeepError)
}

// exchangeLatents decodes the source's latents where they are selected, and the base's elsewhere.
func exchangeLatents(v Values, encode, decode func(x *Node) *Node, keepError bool) *Node {
	own := encode(v.Base)
	out := decode(blend(v.Selected, own, encode(v.Source)))
	if keepError {
		out = Add(out, Sub(v.Base, decode(own)))
	}
	return out
}

// rectified is max(x, 0).
func rectified(x *Node) *Node { return MaxScalar(x, 0) }

// randomAutoencoder draws a matrix [latents, width] of variance 1/width and returns it with its transpose.
func randomAutoencoder(latents, width int, random *rand.Rand) (matrix, transposed *tensors.Tensor, err error) {
	if latents < 1 {
		return nil, nil, &Error{Axis: "latents", Got: fmt.Sprint(latents), Wanted: "at least 1"}
	}
	if float64(latents)*float64(width) > 1<<32 {
		return nil, nil, &Error{Axis: "latents", Got: fmt.Sprint(latents), Wanted: fmt.Sprintf("latents times the width, %d, to be at most 2³²", width)}
	}
	values := make([]float64, latents*width)
	for i := range values {
		values[i] = random.NormFloat64() / math.Sqrt(float64(width))
	}
	return host.Tensor(values, dtypes.Float32, latents, width), host.Tensor(transpose(values, latents, width), dtypes.Float32, width, latents), nil
}

// transpose of a matrix [rows, columns], row by row.
func transpose(matrix []float64, rows, columns int) []float64 {
	transposed := make([]float64, len(matrix))
	for i := range rows {
		for j := range columns {
			transposed[j*rows+i] = matrix[i*columns+j]
		}
	}
	return transposed
}

func init() {
	Register(Autoencoder{})
	Register(JumpReLUAutoencoder{})
}
