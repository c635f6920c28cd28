package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Writer appends values to a message.
type Writer struct{ Bytes []byte }

// Uint appends an unsigned number.
func (w *Writer) Uint(v uint64) { w.Bytes = binary.AppendUvarint(w.Bytes, v) }

// Int appends a signed number.
func (w *Writer) Int(v int64) { w.Bytes = binary.AppendVarint(w.Bytes, v) }

// Float appends the bits of a number.
func (w *Writer) Float(v float64) {
	w.Bytes = binary.LittleEndian.AppendUint64(w.Bytes, math.Float64bits(v))
}

// Bool appends a truth value.
func (w *Writer) Bool(v bool) {
	var b byte
	if v {
		b = 1
	}
	w.Bytes = append(w.Bytes, b)
}

// Text appends a string.
func (w *Writer) Text(v string) {
	w.Uint(uint64(len(v)))
	w.Bytes = append(w.Bytes, v...)
}

// Raw appends bytes with their count.
func (w *Writer) Raw(v []byte) {
	w.Uint(uint64(len(v)))
	w.Bytes = append(w.Bytes, v...)
}

// Reader takes values off a message that may hold anything. After the first thing that is not what was asked for, Err says so and all
// further values are zero.
type Reader struct {
	Bytes []byte
	Err   error
}

var errShort = errors.New("the message ends too soon")

// Fail notes an error, unless there is one already.
func (r *Reader) Fail(format string, args ...any) {
	if r.Err == nil {
		r.Err = fmt.Errorf(format, args...)
	}
	r.Bytes = nil
}

// Uint takes an unsigned number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.Bytes)
	return taken(r, v, n)
}

// Int takes a signed number.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.Bytes)
	return taken(r, v, n)
}

func taken[T uint64 | int64](r *Reader, v T, n int) T {
	if n <= 0 {
		r.Fail("%w", errShort)
		return 0
	}
	r.Bytes = r.Bytes[n:]
	return v
}

// Float takes the bits of a number.
func (r *Reader) Float() float64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// Bool takes a truth value.
func (r *Reader) Bool() bool {
	b := r.take(1)
	if b == nil {
		return false
	}
	if b[0] > 1 {
		r.Fail("%d is no truth value", b[0])
	}
	return b[0] == 1
}

// Text takes a string.
func (r *Reader) Text() string { return string(r.Raw()) }

// Raw takes bytes with their count. They are those of the message, not a copy.
func (r *Reader) Raw() []byte { return r.take(r.Uint()) }

// Count takes the number of elements of a list, each of which takes at least one byte of what is left.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.Bytes)) {
		r.Fail("%w", errShort)
		return 0
	}
	return int(n)
}

func (r *Reader) take(n uint64) []byte {
	if n > uint64(len(r.Bytes)) {
		r.Fail("%w", errShort)
		return nil
	}
	taken := r.Bytes[:n:n]
	r.Bytes = r.Bytes[n:]
	return taken
}

// End is the error of a message read whole: that of its parts, or that something is left.
func (r *Reader) End() error {
	if r.Err == nil && len(r.Bytes) > 0 {
		r.Fail("%d bytes more than the message has", len(r.Bytes))
	}
	return r.Err
}
