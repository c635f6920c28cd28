// Package garbage gives memory back to the system while much of it is let go. Go alone keeps it until its heap has doubled.
package garbage

import "runtime/debug"

// Bytes is how many bytes were let go and not given back yet.
type Bytes int

// Drop counts bytes to which nothing leads any more, and gives back what they have come to once that is many.
func (b *Bytes) Drop(bytes int) {
	*b += Bytes(bytes)
	b.giveBack(64 << 20)
}

// Done gives back the rest, if it is worth it.
func (b *Bytes) Done() { b.giveBack(1 << 20) }

func (b *Bytes) giveBack(most Bytes) {
	if *b > most {
		debug.FreeOSMemory()
		*b = 0
	}
}
