package tokens

import (
	"fmt"
	"maps"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/tokenizer"
	"github.com/govene/govene/interv"
)

// Side is where shorter texts are padded.
type Side int

// The sides. Without padding, all texts must have equally many tokens.
const (
	NoPadding Side = iota
	Left
	Right
)

// Options says how texts become tensors. Its zero value adds nothing to the texts.
type Options struct {
	// AddSpecial puts the tokens around each text that the tokenizer has for that: Llama's <s>, for instance; GPT-2 has none.
	// Special tokens that a text spells out are tokens in either case.
	AddSpecial bool

	// Padding is the side on which texts with fewer tokens are padded.
	Padding Side

	// Length is the number of positions to pad to, so that different texts share a program; 0 for the longest text's.
	Length int

	// Pad is the token to pad with, as the vocabulary writes it: "<|endoftext|>". If empty it is the tokenizer's own padding
	// token, or else the one that ends its texts; a tokenizer with neither needs it said. The attention mask hides it in any case.
	Pad string
}

// Batch is some texts as tokens.
type Batch struct {
	tokenizer *Tokenizer
	texts     []string
	tokens    [][]tokenizer.Token
	starts    []int // the position of each text's first token
	positions int
	pad       int // -1 if nothing is padded
	inputs    interv.Inputs
}

// Encode makes texts into a batch. A text without tokens is an error, and so are a character or word that the vocabulary does not
// have and texts of different lengths without padding.
func (t *Tokenizer) Encode(options Options, texts ...string) (*Batch, error) {
	if len(texts) == 0 {
		return nil, &interv.Error{Where: "texts", Got: "none", Wanted: "at least one"}
	}
	b := &Batch{tokenizer: t, texts: append([]string(nil), texts...), pad: -1, positions: options.Length}
	longest := 0
	for i, text := range texts {
		list, err := t.inner.Encode(text, options.AddSpecial)
		if err != nil {
			return nil, encodeError(fmt.Sprintf("text %d", i), err)
		}
		if len(list) == 0 {
			return nil, &interv.Error{Where: fmt.Sprintf("text %d", i), Got: fmt.Sprintf("%q, which has no tokens", text), Wanted: "at least one"}
		}
		b.tokens = append(b.tokens, list)
		longest = max(longest, len(list))
	}
	if b.positions == 0 {
		b.positions = longest
	}
	if err := b.padTo(options); err != nil {
		return nil, err
	}
	b.inputs = b.tensors()
	return b, nil
}

// MustEncode is Encode that panics on an error.
func (t *Tokenizer) MustEncode(options Options, texts ...string) *Batch {
	return must.Of(t.Encode(options, texts...))
}

// Inputs are the model's inputs for texts of equally many tokens, to which nothing is added: those of [Tokenizer.Encode] without options.
func (t *Tokenizer) Inputs(texts ...string) (interv.Inputs, error) {
	batch, err := t.Encode(Options{}, texts...)
	if err != nil {
		return nil, err
	}
	return batch.Inputs(), nil
}

// MustInputs is Inputs that panics on an error.
func (t *Tokenizer) MustInputs(texts ...string) interv.Inputs { return must.Of(t.Inputs(texts...)) }

// encodeError says in which text there is something that has no token, or that the tokenizer's file cannot make one of.
func encodeError(where string, err error) error {
	if unknown, ok := err.(*tokenizer.UnknownWord); ok {
		return &interv.Error{Where: where, Got: fmt.Sprintf("%q", unknown.Word), Nearest: unknown.Nearest,
			Wanted: "words or characters of the vocabulary, as it has no token for unknown ones"}
	}
	if broken, ok := err.(*tokenizer.NoUnion); ok {
		return &interv.Error{Where: where, Axis: fmt.Sprintf("merge %d of the tokenizer", broken.Merge),
			Got: fmt.Sprintf("%q and %q", broken.Left, broken.Right), Wanted: "what they become to be in the vocabulary"}
	}
	return &interv.Error{Where: where, Got: "bytes that make no characters", Wanted: "UTF-8"}
}

// padTo finds each text's place among the positions, and the token to fill them up with if any are left.
func (b *Batch) padTo(options Options) error {
	b.starts = make([]int, len(b.tokens))
	for i, list := range b.tokens {
		missing := b.positions - len(list)
		if missing == 0 {
			continue
		}
		where, got := fmt.Sprintf("text %d", i), fmt.Sprintf("%d tokens", len(list))
		if missing < 0 {
			return &interv.Error{Where: where, Got: got + ": " + b.tokenizer.list(list), Wanted: fmt.Sprintf("at most %d, the length", b.positions)}
		}
		switch options.Padding {
		case Left:
			b.starts[i] = missing
		case Right:
		default:
			return &interv.Error{Where: where, Got: got,
				Wanted: fmt.Sprintf("%d, as there is no padding (Options.Padding: Left or Right)", b.positions)}
		}
		if b.pad < 0 {
			pad, err := b.tokenizer.pad(options.Pad)
			if err != nil {
				return err
			}
			b.pad = pad
		}
	}
	return nil
}

// pad is the token to pad with: the one that was asked for, the tokenizer's own, or the one that ends texts.
func (t *Tokenizer) pad(asked string) (int, error) {
	for _, text := range []string{asked, t.special.Pad.text(), t.special.EOS.text()} {
		if text == "" {
			continue
		}
		if id, ok := t.inner.ID(text); ok {
			return id, nil
		}
		return 0, &interv.Error{Where: "options", Axis: "Pad", Got: fmt.Sprintf("%q", text), Wanted: "a token, as the vocabulary writes it"}
	}
	if id := t.special.eosID; id != nil {
		if _, ok := t.inner.Token(*id); ok {
			return *id, nil
		}
	}
	return 0, &interv.Error{Where: "options", Axis: "Pad", Got: "none",
		Wanted: "a token to pad with, as the tokenizer names neither one for that nor one that ends texts"}
}

func (s *specialToken) text() string {
	if s == nil {
		return ""
	}
	return string(*s)
}

func (b *Batch) tensors() interv.Inputs {
	ids, mask := make([]int32, 0, len(b.texts)*b.positions), make([]int32, 0, len(b.texts)*b.positions)
	for i := range b.texts {
		for position := range b.positions {
			id, own := b.at(i, position)
			ids = append(ids, int32(id))
			if own {
				mask = append(mask, 1)
			} else {
				mask = append(mask, 0)
			}
		}
	}
	return interv.Inputs{
		interv.InputIDs:      tensors.FromFlatDataAndDimensions(ids, len(b.texts), b.positions),
		interv.AttentionMask: tensors.FromFlatDataAndDimensions(mask, len(b.texts), b.positions),
	}
}

// at is the token at a position, and whether it is the text's own, not padding.
func (b *Batch) at(i, position int) (id int, own bool) {
	if k := position - b.starts[i]; k >= 0 && k < len(b.tokens[i]) {
		return b.tokens[i][k].ID, true
	}
	return b.pad, false
}

// Inputs are the model's inputs, both int32 [batch, positions]: input_ids, and attention_mask, 1 for tokens and 0 for padding.
func (b *Batch) Inputs() interv.Inputs { return maps.Clone(b.inputs) }

// Texts is the number of texts, the batch.
func (b *Batch) Texts() int { return len(b.texts) }

// Positions is the number of positions, padding included.
func (b *Batch) Positions() int { return b.positions }

// IDs are the tokens of each text, without padding.
func (b *Batch) IDs() [][]int {
	rows := make([][]int, len(b.tokens))
	for i, list := range b.tokens {
		for _, token := range list {
			rows[i] = append(rows[i], token.ID)
		}
	}
	return rows
}

// Labels are the tokens to be read, for each text and position, padding included; see [Tokenizer.Label].
func (b *Batch) Labels() [][]string {
	rows := make([][]string, len(b.texts))
	for i := range rows {
		for position := range b.positions {
			id, _ := b.at(i, position)
			rows[i] = append(rows[i], b.tokenizer.Label(id))
		}
	}
	return rows
}
