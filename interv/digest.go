package interv

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/stored"
)

// Digest writes names, shapes and bytes of all weights, in order of their names. Those that lie in a file, and not in this process, are read
// for this alone.
func (w *Weights) Digest(to io.Writer) error {
	var failed error
	for _, name := range slices.Sorted(slices.Values(w.names)) {
		fmt.Fprintln(to, name, w.shapes[name])
		write := func(data []byte) { _, failed = to.Write(data) }
		t, from := w.place(name)
		err := error(nil)
		if from != nil {
			err = readBytes(from, write)
		} else {
			err = t.ConstBytes(write)
		}
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
	return nil
}

// Ends gives use the first and then the last bytes of a weight, so many of each; all at once of a weight that has no more. It reads no others
// where they lie in a file.
func (w *Weights) Ends(name string, most int, use func(data []byte)) error {
	t, from := w.place(name)
	if from != nil {
		all, part := from.As.Size(), most/from.As.DType.Size()
		first, last := from.Part(0, part), from.Part(max(0, all-part), part)
		if all > 2*part && first != nil && last != nil {
			if err := readBytes(first, use); err != nil {
				return err
			}
			return readBytes(last, use)
		}
	}
	ends := func(data []byte) {
		if len(data) <= 2*most {
			use(data)
			return
		}
		use(data[:most])
		use(data[len(data)-most:])
	}
	if from == nil {
		return t.ConstBytes(ends)
	}
	return readBytes(from, ends)
}

// place is where a weight's bytes are had for the least: its tensor, or its file.
func (w *Weights) place(name string) (*tensors.Tensor, *stored.Tensor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, from := w.values[name], w.stored[name]
	if from != nil && (t == nil || !t.IsShared()) {
		return nil, from
	}
	return t, nil
}

func readBytes(from *stored.Tensor, use func(data []byte)) error {
	data := make([]byte, from.As.ByteSize())
	if err := from.Read(data, nil); err != nil {
		return Within("weights", err)
	}
	use(data)
	return nil
}
