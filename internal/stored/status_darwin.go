package stored

import (
	"os"
	"syscall"
)

// status is the file's inode, when that was last changed, in nanoseconds, and whether the file has a name.
func status(info os.FileInfo) (inode uint64, changed int64, named bool) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino, stat.Ctimespec.Nano(), stat.Nlink > 0
	}
	return 0, 0, true
}
