package causal

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
)

// Encoding says how the inputs of a run become a row of numbers: those of each input's value, one after the other. [Tokens], [Embeddings] and
// [FreshEmbeddings] are encodings; with Row in place of Of or Fresh a row is whatever it makes of the inputs.
type Encoding[T float32 | int32] struct {
	Inputs     []string // in the order of the row; nil for the model's
	Width      int      // numbers of each input; 0 means 1
	Dimensions []int    // of a row, which has zeros at its end if they leave room; nil for one axis, as long as the numbers

	Of    func(value Value) ([]T, error)       // the numbers of a value
	Fresh func(random *rand.Rand, numbers []T) // numbers that are drawn anew in each run, equal for inputs of equal values; for many goroutines

	Row func(inputs Setting) ([]T, error) // all numbers of a row at once, Dimensions of them
}

// Tokens encodes each input's value as the id of a token.
func Tokens(ids map[Value]int32) Encoding[int32] {
	return Encoding[int32]{Of: func(value Value) ([]int32, error) {
		id, ok := ids[value]
		if !ok {
			return nil, &Error{Where: "tokens", Axis: "value", Got: fmt.Sprint(value), Wanted: "a value that has an id"}
		}
		return []int32{id}, nil
	}}
}

// Embeddings encodes each value as a vector of its own, whichever input has it: normal numbers that follow from the seed and the value as it
// is printed.
func Embeddings(width int, seed uint64) Encoding[float32] {
	return Encoding[float32]{Width: width, Of: func(value Value) ([]float32, error) {
		hash := fnv.New64a()
		io.WriteString(hash, fmt.Sprintf("%T %v", value, value)) // which never fails
		vector := make([]float32, width)
		normal(rand.New(rand.NewPCG(seed, hash.Sum64())), vector)
		return vector, nil
	}}
}

// FreshEmbeddings encodes each value as a vector of normal numbers that are drawn anew for each run: so nothing but which inputs are equal is
// the same in two of them.
func FreshEmbeddings(width int) Encoding[float32] {
	return Encoding[float32]{Width: width, Fresh: normal}
}

func normal(random *rand.Rand, vector []float32) {
	for i := range vector {
		vector[i] = float32(random.NormFloat64())
	}
}

// With is the encoding with rows of some dimensions, whose end is filled with zeros.
func (e Encoding[T]) With(dimensions ...int) Encoding[T] {
	e.Dimensions = dimensions
	return e
}

// Arrays are the inputs of examples as numbers: of the bases, and of the sources of each of the examples' Variables, [examples, dimensions of
// a row]. Only fresh numbers need random. Where a variable is not intervened on, its source's row is the base's.
func Arrays[T float32 | int32](examples *Examples, encoding Encoding[T], random *rand.Rand) (base Array[T], sources []Array[T], err error) {
	w, err := newWriter(examples.c, encoding, random)
	if err != nil {
		return base, nil, err
	}
	if base, err = w.array(examples.base, nil, nil); err != nil {
		return base, nil, err
	}
	for _, rows := range examples.sources {
		array, err := w.array(rows, examples.base, base.Values)
		if err != nil {
			return base, nil, err
		}
		sources = append(sources, array)
	}
	return base, sources, nil
}

// writer writes rows of numbers.
type writer[T float32 | int32] struct {
	Encoding[T]
	c      *compiled
	random *rand.Rand
	inputs []int   // where they are in a row of indices
	size   int     // of a row of numbers
	table  [][][]T // of each input and value; nil for fresh numbers
}

func newWriter[T float32 | int32](c *compiled, encoding Encoding[T], random *rand.Rand) (*writer[T], error) {
	const where = "encoding"
	w := &writer[T]{Encoding: encoding, c: c, random: random}
	w.Width = max(1, w.Width)
	given := 0
	for _, there := range []bool{w.Of != nil, w.Fresh != nil, w.Row != nil} {
		if there {
			given++
		}
	}
	if given != 1 {
		return nil, &Error{Where: where, Axis: "Of, Fresh and Row", Got: fmt.Sprint(given, " of them"), Wanted: "one"}
	}
	if w.Fresh != nil && random == nil {
		return nil, &Error{Where: where, Axis: "random", Got: "nil", Wanted: "a generator: numbers are fresh"}
	}
	if w.Inputs == nil {
		w.Inputs = c.model.inputs
	}
	for _, name := range w.Inputs {
		n, err := c.model.find(where, name)
		if err != nil {
			return nil, err
		}
		if len(n.parents) > 0 {
			return nil, &Error{Where: where, Axis: name, Got: "a computed variable", Wanted: "an input"}
		}
		w.inputs = append(w.inputs, c.at[name])
	}
	w.size = len(w.inputs) * w.Width
	if w.Dimensions != nil {
		size := 1
		for _, d := range w.Dimensions {
			size *= d
		}
		if size < 1 || size < w.size && w.Row == nil {
			return nil, &Error{Where: where, Axis: "dimensions", Got: fmt.Sprint(w.Dimensions), Wanted: fmt.Sprintf("room for %d numbers", w.size)}
		}
		w.size = size
	} else if w.Row != nil {
		return nil, &Error{Where: where, Axis: "dimensions", Got: "none", Wanted: "those of a row that Row makes"}
	} else {
		w.Dimensions = []int{w.size}
	}
	return w, w.tables()
}

// tables finds the numbers of each value once.
func (w *writer[T]) tables() error {
	if w.Of == nil {
		return nil
	}
	for _, i := range w.inputs {
		n := w.c.model.variables[i]
		table := make([][]T, len(n.Values))
		for k, value := range n.Values {
			var err error
			if table[k], err = w.Of(value); err != nil {
				return err
			}
			if len(table[k]) != w.Width {
				return &Error{Where: "encoding", Axis: fmt.Sprintf("%s %v", n.Name, value), Got: fmt.Sprintf("%d numbers", len(table[k])), Wanted: fmt.Sprintf("%d, the width", w.Width)}
			}
		}
		w.table = append(w.table, table)
	}
	return nil
}

// array writes rows. Those that are the same run as others are copied from what was written for these.
func (w *writer[T]) array(rows, others [][]int32, written []T) (Array[T], error) {
	array := Array[T]{Values: make([]T, len(rows)*w.size), Dimensions: append([]int{len(rows)}, w.Dimensions...)}
	if w.Row != nil {
		for i, row := range rows {
			numbers, err := w.Row(w.c.inputsOf(row))
			if err != nil {
				return array, fmt.Errorf("example %d: %w", i, err)
			}
			if len(numbers) != w.size {
				return array, &Error{Where: fmt.Sprintf("example %d", i), Axis: "numbers", Got: fmt.Sprint(len(numbers)), Wanted: fmt.Sprintf("%d, as dimensions %v have", w.size, w.Dimensions)}
			}
			copy(array.Values[i*w.size:], numbers)
		}
		return array, nil
	}
	var workers sync.WaitGroup
	slots := make(chan bool, runtime.GOMAXPROCS(0))
	for from := 0; from < len(rows); from += blockSize {
		var random *rand.Rand
		if w.Fresh != nil { // each block has a generator of its own, so that any number of cores draws the same numbers
			random = rand.New(rand.NewPCG(w.random.Uint64(), w.random.Uint64()))
		}
		slots <- true
		workers.Go(func() {
			defer func() { <-slots }()
			for i := from; i < min(len(rows), from+blockSize); i++ {
				into := array.Values[i*w.size : (i+1)*w.size]
				if others != nil && &rows[i][0] == &others[i][0] {
					copy(into, written[i*w.size:(i+1)*w.size])
				} else {
					w.write(rows[i], into, random)
				}
			}
		})
	}
	workers.Wait()
	return array, nil
}

// blockSize is how many rows one generator serves.
const blockSize = 1 << 10

// write writes one row of the numbers of its values.
func (w *writer[T]) write(row []int32, into []T, random *rand.Rand) {
	for k, i := range w.inputs {
		numbers := into[k*w.Width : (k+1)*w.Width]
		if w.Of != nil {
			copy(numbers, w.table[k][row[i]])
			continue
		}
		of := w.c.same[i][row[i]]
		earlier := 0
		for earlier < k && w.c.same[w.inputs[earlier]][row[w.inputs[earlier]]] != of {
			earlier++
		}
		if earlier < k {
			copy(numbers, into[earlier*w.Width:(earlier+1)*w.Width])
		} else {
			w.Fresh(random, numbers)
		}
	}
}
