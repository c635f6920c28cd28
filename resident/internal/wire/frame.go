// Package wire is how a client and the engine speak: a greeting in words, then frames.
//
// A frame is a header of 17 bytes, a short message and, where there are any, the bytes of tensors or of a program:
//
//	kind 1 | request 4 | length of message 4 | length of data 8 | message | data     (little endian)
//
// The client numbers requests; the answer to a request has its number. Requests that nobody waits for have no answer: what goes wrong
// with them is told when what they made is used.
package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Kind says what a frame asks or answers.
type Kind byte

// The kinds of frames. Their messages are written and read side by side in the packages resident and engine.
const (
	Answer  Kind = iota + 1
	Failure      // message: what went wrong; whether it is that the backend lacks the operation
	Compile      // name | data: the program → program, inputs, outputs
	Probe        // data: a program of one operation → the shapes of its values
	Execute      // program, inputs, donated, device, first output → shapes of the outputs, and small ones themselves
	Create       // buffer, device, shape | data; not answered
	File         // device, first buffer | files and the tensors in them → which of them are buffers now
	Read         // buffer → data
	Copy         // buffer, new buffer, device → nothing
	Free         // buffers; not answered
	Drop         // program; not answered
	Status       // → JSON
	Stop         // → nothing
	kinds
)

// maxMessage bounds the message of a frame; programs and tensors are data.
const maxMessage = 1 << 24

// Frame is what precedes the data.
type Frame struct {
	Kind    Kind
	Request uint32
	Message []byte
	Data    uint64 // bytes of data that follow
}

const headerSize = 1 + 4 + 4 + 8

// ReadFrame reads a frame up to its data, which the caller reads next.
func ReadFrame(r *bufio.Reader) (Frame, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return Frame{}, err
	}
	f := Frame{
		Kind:    Kind(header[0]),
		Request: binary.LittleEndian.Uint32(header[1:]),
		Data:    binary.LittleEndian.Uint64(header[9:]),
	}
	length := binary.LittleEndian.Uint32(header[5:])
	if f.Kind == 0 || f.Kind >= kinds {
		return Frame{}, fmt.Errorf("a frame of kind %d, which does not exist", f.Kind)
	}
	if length > maxMessage {
		return Frame{}, fmt.Errorf("a message of %d bytes, more than %d", length, maxMessage)
	}
	f.Message = make([]byte, length)
	_, err := io.ReadFull(r, f.Message)
	return f, err
}

// AppendFrame appends a frame up to its data.
func AppendFrame(to []byte, f Frame) ([]byte, error) {
	if len(f.Message) > maxMessage {
		return to, fmt.Errorf("a message of %d bytes, more than %d", len(f.Message), maxMessage)
	}
	to = append(to, byte(f.Kind))
	to = binary.LittleEndian.AppendUint32(to, f.Request)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(f.Message)))
	to = binary.LittleEndian.AppendUint64(to, f.Data)
	return append(to, f.Message...), nil
}

// Send writes a frame and its data, small ones at once.
func Send(w io.Writer, frame, data []byte) error {
	const small = 64 << 10
	if len(data) <= small {
		frame, data = append(frame, data...), nil
	}
	_, err := w.Write(frame)
	if err == nil && len(data) > 0 {
		_, err = w.Write(data)
	}
	return err
}
