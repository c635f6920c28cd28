package toy

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/training"
	"github.com/govene/govene/interv/transformer"
)

// Gift is a sentence in which two people are somewhere, and one of them gives the other something: "when Ann and Ben went to the shop today , Ben
// again gave a book to Ann". Who is given it is the name that comes once: indirect-object identification, Wang et al., "Interpretability in the
// Wild" (2022).
type Gift struct {
	First, Second string // the names, in the order in which they come
	FirstGives    bool
	Place, Thing  string
	Extra         [2]int // where "today" and "again" stand: at 0 the beginning, 1 before the comma, 2 after the giver
}

// Giver is who gives.
func (g Gift) Giver() string {
	if g.FirstGives {
		return g.First
	}
	return g.Second
}

// Receiver is who is given something, which is what the model is to say.
func (g Gift) Receiver() string { return g.Swapped().Giver() }

// Swapped is the sentence in which the other one gives.
func (g Gift) Swapped() Gift {
	g.FirstGives = !g.FirstGives
	return g
}

// Prompt is the sentence up to where the receiver follows.
func (g Gift) Prompt() string {
	words := func(place int) (text string) {
		for i, word := range []string{"today ", "again "} {
			if g.Extra[i] == place {
				text += word
			}
		}
		return text
	}
	return words(0) + "when " + g.First + " and " + g.Second + " went to the " + g.Place + " " + words(1) + ", " + g.Giver() + " " + words(2) + "gave a " + g.Thing + " to"
}

var (
	people = []string{"Ann", "Ben", "Cara", "Dan", "Eve", "Finn", "Gina", "Hugo", "Iris", "Jack", "Kate", "Leo"}
	places = []string{"shop", "park", "station", "library", "beach", "school"}
	things = []string{"book", "key", "drink", "flower", "letter", "ring"}
)

// drawGift draws a sentence from all that there are.
func drawGift(random *rand.Rand) Gift {
	of := func(list []string) string { return list[random.IntN(len(list))] }
	names := random.Perm(len(people))
	return Gift{First: people[names[0]], Second: people[names[1]], Place: of(places), Thing: of(things),
		Extra: [2]int{random.IntN(3), random.IntN(3)}, FirstGives: random.IntN(2) == 1}
}

// Gifts draws sentences whose words stand at the same positions: "when … and … went to the … today , … again gave a … to". In every other one the
// first name gives.
func Gifts(count int, seed uint64) []Gift {
	random := rand.New(rand.NewPCG(seed, 0))
	list := make([]Gift, count)
	for i := range list {
		list[i] = drawGift(random)
		list[i].Extra, list[i].FirstGives = [2]int{1, 2}, i%2 == 1
	}
	return list
}

// MakeGivers trains a transformer of two layers with four heads each, and next to no MLPs, on every kind of [Gift], and writes it as [Make] does. It
// takes a minute.
func MakeGivers(backend compute.Backend, folder string) (string, error) {
	words := strings.Fields("when and went to the , gave a today again .")
	words = append(append(append(words, people...), places...), things...)
	return written(folder, words, func(tokenizer *tokens.Tokenizer) (*transformer.Model, error) {
		const steps, sentences = 1300, 48
		draw := func(random *rand.Rand) (interv.Call, error) {
			texts := make([]string, sentences)
			for i := range texts {
				g := drawGift(random)
				texts[i] = g.Prompt() + " " + g.Receiver()
			}
			batch, err := tokenizer.Encode(tokens.Options{}, texts...)
			if err != nil {
				return interv.Call{}, err
			}
			inputs := interv.Inputs{interv.InputIDs: batch.Inputs()[interv.InputIDs]} // all of one length
			next, err := training.NextTokens(inputs, 0)
			return interv.Call{Base: inputs, Labels: interv.Inputs{training.Label: next}}, err
		}
		config := fmt.Sprintf(`{"model_type": "gpt2", "vocab_size": %d, "n_positions": 20, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 4}`, tokenizer.Size())
		return fit(backend, config, true, training.Fresh(seed, draw), training.Settings{Steps: steps, Rate: 1e-2, Decays: [2]float64{0.9, 0.98},
			Schedule: interv.WarmUp(50, interv.Cosine(1, 0.1, steps-50)), Every: steps})
	})
}

// MustMakeGivers is MakeGivers that panics on an error.
func MustMakeGivers(backend compute.Backend, folder string) string {
	return must.Of(MakeGivers(backend, folder))
}
