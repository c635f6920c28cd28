package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the newest of CHANGELOG.md.
const version = "0.1.0"

var versionCommand = command{name: "version", does: "says what this is, and what it is made with", do: func(c *call) error {
	if err := c.parse(0); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "govene %s\n", version)
	build, known := debug.ReadBuildInfo()
	if known {
		fmt.Fprintf(c.out, "module %s %s\n", build.Main.Path, build.Main.Version)
	}
	fmt.Fprintf(c.out, "go %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if known {
		for _, module := range build.Deps {
			switch module.Path {
			case "github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla":
				fmt.Fprintf(c.out, "%s %s\n", module.Path, module.Version)
			}
		}
	}
	return nil
}}
