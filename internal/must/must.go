// Package must makes a function that panics of one that returns an error.
package must

// Of unwraps a result, or panics with its error.
func Of[T any](result T, err error) T {
	if err != nil {
		panic(err)
	}
	return result
}

// Do panics with an error, if there is one.
func Do(err error) {
	if err != nil {
		panic(err)
	}
}
