package backend_test

import (
	"fmt"
	"os"

	"github.com/govene/govene/backend"
)

// The size decides where GOMLX_BACKEND doesn't: a model of 18 parameters is better off without XLA's compiler.
func ExampleParameters_Choose() {
	os.Unsetenv("GOMLX_BACKEND")
	choice, err := backend.Parameters(18).Choose()
	fmt.Println(choice.Name, err)
	// Output: go:ops_sequential <nil>
}
