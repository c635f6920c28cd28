// Package plural says how many there are of something.
package plural

import "fmt"

// Of is a number with its noun: "1 pair", "2 pairs".
func Of(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
