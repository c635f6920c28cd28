//go:build cgo && !noxla

package backend

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// withSignalsBlocked calls start, which makes XLA's client, with signals blocked in its thread: XLA's own threads, which inherit that,
// then never run Go's signal handler. Those of a CPU profile do not survive it: the heap is corrupted.
//
// Signals that a fault raises in the thread itself stay open, since go-xla's own are recovered from, and so do those by which the C
// library speaks to all threads.
func withSignalsBlocked(start func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var blocked, before unix.Sigset_t
	for i := range blocked.Val {
		blocked.Val[i] = ^blocked.Val[i]
	}
	const setXID, syncCall = 33, 34 // after 32, with which it cancels
	for _, open := range []unix.Signal{unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, unix.SIGABRT, 32, setXID, syncCall} {
		const wide = 8 * int(unsafe.Sizeof(blocked.Val[0]))
		blocked.Val[int(open-1)/wide] &^= 1 << (int(open-1) % wide)
	}
	if unix.PthreadSigmask(unix.SIG_SETMASK, &blocked, &before) == nil {
		defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	}
	start()
}
