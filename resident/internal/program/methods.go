// Package program is a graph as data: what a GoMLX graph builder was told, method by method, and how to tell it to another builder.
//
// A program is a sequence of steps: the number of a method, the number of the function or builder it was called on, and its arguments.
// Values and functions are numbered in the order in which they came into being, and 0 is none; function 1 is main.
package program

//go:generate go run ./generate methods_gen.go ../../recorder_gen.go

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// method is a method of compute.Builder or compute.Function as a function whose first argument is the receiver.
type method struct {
	name string
	call any
}

// Name is the name of a method by its number.
func Name(number int) string { return methods[number].name }

// Methods is how many there are.
func Methods() int { return len(methods) }

// Signature is the type of a method as a function whose first argument is the receiver.
func Signature(number int) reflect.Type { return reflect.TypeOf(methods[number].call) }

// Dialect tells programs of one version of GoMLX from those of others: a digest of names and signatures of all methods, and of the names
// of operations and element types, whose order gives their numbers.
var Dialect = sync.OnceValue(func() string {
	digest := sha256.New()
	for _, m := range methods {
		fmt.Fprintln(digest, m.name, reflect.TypeOf(m.call))
	}
	fmt.Fprintln(digest, compute.OpTypeStrings(), dtypes.DTypeStrings())
	return hex.EncodeToString(digest.Sum(nil)[:8])
})

var (
	valueType    = reflect.TypeFor[compute.Value]()
	functionType = reflect.TypeFor[compute.Function]()
	builderType  = reflect.TypeFor[compute.Builder]()
)
