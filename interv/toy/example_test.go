package toy_test

import (
	"fmt"

	"github.com/govene/govene/interv/toy"
)

func ExampleGift() {
	gift := toy.Gift{First: "Ann", Second: "Ben", Place: "shop", Thing: "book", Extra: [2]int{1, 2}}
	fmt.Println(gift.Prompt(), "→", gift.Receiver())
	fmt.Println(gift.Swapped().Prompt(), "→", gift.Swapped().Receiver())
	// Output:
	// when Ann and Ben went to the shop today , Ben again gave a book to → Ann
	// when Ann and Ben went to the shop today , Ann again gave a book to → Ben
}
