//go:build !linux

package backend

// withSignalsBlocked calls start: a thread's mask is set on Linux alone.
func withSignalsBlocked(start func()) { start() }
