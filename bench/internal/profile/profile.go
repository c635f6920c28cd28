// Package profile gives the programs in bench the flag -profile, which writes a CPU profile for go tool pprof.
package profile

import (
	"flag"
	"os"
	"runtime/pprof"

	"github.com/govene/govene/internal/must"
)

var path = flag.String("profile", "", "write a CPU profile to this `file`")

// Start begins the profile, if the flags ask for one, and returns what ends it:
//
//	flag.Parse()
//	defer profile.Start()()
func Start() (stop func()) {
	if *path == "" {
		return func() {}
	}
	file := must.Of(os.Create(*path))
	if err := pprof.StartCPUProfile(file); err != nil {
		panic(err)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			panic(err)
		}
	}
}
