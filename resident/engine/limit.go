package engine

import (
	"os"
	"strconv"
	"strings"
)

// DefaultLimit is three quarters of the machine's memory where the system tells how much there is, else 8 GiB.
func DefaultLimit() int64 {
	const unknown = 8 << 30
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return unknown
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			if kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64); err == nil {
				return kib << 10 / 4 * 3
			}
		}
	}
	return unknown
}
