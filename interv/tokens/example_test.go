package tokens_test

import (
	"fmt"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/tokens"
)

// Two prompts, and the location that takes the subject's activation from one to the other.
func Example() {
	tokenizer := tokens.MustWords([]string{"The", "capital", "of", "France", "Italy", "the", "Vatican", "is"})
	options := tokens.Options{Padding: tokens.Left, Pad: "The", Length: 6}
	base := tokenizer.MustEncode(options, "The capital of France is")
	source := tokenizer.MustEncode(options, "The capital of the Vatican is")
	location := interv.FromTo(source.MustFind(" Vatican"), base.MustFind(" France"))
	fmt.Println(base.Labels()[0])
	fmt.Println(base.Inputs()["attention_mask"])
	fmt.Println(location.Source, location.Base)
	// Output:
	// [The The capital of France is]
	// [1][6]int32{{0, 1, 1, 1, 1, 1}}
	// [[4]] [[4]]
}

// The answers' ids, for the difference of their logits.
func ExampleTokenizer_ID() {
	tokenizer := tokens.MustWords([]string{"Paris", "Rome"})
	id, err := tokenizer.ID(" Rome")
	fmt.Println(id, err)
	_, err = tokenizer.ID(" Rom")
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// text " Rom": got "Rom", wanted words or characters of the vocabulary, as it has no token for unknown ones; did you mean "Rome"?
}

// The answers as a metric takes them, and a prompt as a model does.
func ExampleTokenizer_Each() {
	tokenizer := tokens.MustWords([]string{"Paris", "Rome", "in"})
	fmt.Println(tokenizer.MustEach(" Rome", " Paris"))
	_, err := tokenizer.Each(" Paris", " in Rome")
	fmt.Println(err)
	fmt.Println(tokenizer.MustInputs("in Paris", "in Rome")["input_ids"].Shape())
	// Output:
	// [[1] [0]]
	// text " in Rome": got 2 tokens: 0 in 1 Rome, wanted one
	// (Int32)[2, 2]
}

// A piece that occurs twice.
func ExampleBatch_Find() {
	tokenizer := tokens.MustWords([]string{"the", "cat", "saw"})
	batch := tokenizer.MustEncode(tokens.Options{}, "the cat saw the cat")
	_, err := batch.Find("cat")
	fmt.Println(err)
	fmt.Println(batch.MustFind("saw the cat"), batch.MustFindEvery("saw the cat"))
	// Output:
	// text 0: "cat": got it 2 times, at positions 1, 4 in the tokens 0 the 1 cat 2 saw 3 the 4 cat, wanted it once (a longer piece that ends with the same token may tell them apart)
	// [[4]] [[2 3 4]]
}
