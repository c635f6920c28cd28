//go:build noxla || !cgo || !((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import "fmt"

const xlaLinked = false

var errNotLinked = fmt.Errorf("%w: this program was built without XLA (-tags=noxla, no C compiler, or a platform that XLA does not support)", errNoPlugin)

func findPlugins() ([]plugin, error) { return nil, errNotLinked }
