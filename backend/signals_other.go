//go:build !linux || !cgo || noxla

package backend

// withSignalsBlocked calls start: a thread's mask is set on Linux alone, and for XLA.
func withSignalsBlocked(start func()) { start() }
