package training

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/plotting"
)

// Look is what is found between two steps. A number that there is not is NaN.
type Look struct {
	Step         int     // steps taken
	Loss         float64 // the mean of the batches since the last look; NaN at the first
	HeldLoss     float64 // of the held-out examples
	Accuracy     float64 // the share of labels that have the largest logit; of an interchange, the interchange intervention accuracy
	BaseAccuracy float64 // of an interchange with base labels: the same of the clean output
}

// number is the one that is watched.
func (l Look) number(watch Number) float64 {
	if watch == Loss {
		return l.HeldLoss
	}
	if math.IsNaN(l.BaseAccuracy) {
		return l.Accuracy
	}
	return min(l.Accuracy, l.BaseAccuracy)
}

// String is "loss" or "accuracy".
func (n Number) String() string { return [...]string{"loss", "accuracy"}[n] }

// better tells whether a number is better than another.
func (n Number) better(a, b float64) bool {
	if n == Loss {
		return a < b
	}
	return a > b
}

// Curves are all looks so far.
type Curves struct {
	Looks []Look
	Steps int  // that are to be taken
	Ended bool // whether training has ended
}

func (c Curves) clone() Curves {
	c.Looks = slices.Clone(c.Looks)
	return c
}

// last is the step of the last look; −1 if there was none.
func (c Curves) last() int {
	if len(c.Looks) == 0 {
		return -1
	}
	return c.Looks[len(c.Looks)-1].Step
}

// Last is the last look.
func (c Curves) Last() Look { return c.Looks[len(c.Looks)-1] }

// series are the numbers that there are, by what they are called.
func (c Curves) series() (names []string, of func(Look, string) float64) {
	all := []struct {
		name string
		of   func(Look) float64
	}{
		{"loss", func(l Look) float64 { return l.Loss }}, {"held-out loss", func(l Look) float64 { return l.HeldLoss }},
		{"held-out accuracy", func(l Look) float64 { return l.Accuracy }}, {"held-out accuracy of the base", func(l Look) float64 { return l.BaseAccuracy }},
	}
	for _, s := range all {
		if slices.ContainsFunc(c.Looks, func(l Look) bool { return !math.IsNaN(s.of(l)) }) {
			names = append(names, s.name)
		}
	}
	return names, func(l Look, name string) float64 {
		for _, s := range all {
			if s.name == name {
				return s.of(l)
			}
		}
		return math.NaN()
	}
}

// Frame is the numbers as data: step, curve (which number it is), value.
func (c Curves) Frame() *plotting.Frame {
	var steps []int
	var names []string
	var numbers []float64
	series, of := c.series()
	for _, name := range series {
		for _, look := range c.Looks {
			if number := of(look, name); !math.IsNaN(number) {
				steps, names, numbers = append(steps, look.Step), append(names, name), append(numbers, number)
			}
		}
	}
	return plotting.MustFrame(plotting.NewColumn("step", steps), plotting.NewColumn("curve", names).Levels(series...), plotting.NewColumn("value", numbers))
}

// Plot shows losses and accuracies by step; it needs two looks.
func (c Curves) Plot() plotting.Plot {
	return plotting.New(c.Frame(), plotting.Aes{X: "step", Y: "value", Colour: "curve"}).Add(plotting.Line{},
		plotting.Labels{Title: "Training", Y: "loss, accuracy", Description: c.String()})
}

// String is the last look in words: "step 400 of 2000: loss 0.312, held-out loss 0.333, held-out accuracy 0.912".
func (c Curves) String() string {
	if len(c.Looks) == 0 {
		return "no step taken"
	}
	var numbers []string
	series, of := c.series()
	for _, name := range series {
		if number := of(c.Last(), name); !math.IsNaN(number) {
			numbers = append(numbers, fmt.Sprintf("%s %.3g", name, number))
		}
	}
	return fmt.Sprintf("step %d of %d: %s", c.Last().Step, c.Steps, strings.Join(numbers, ", "))
}

// bars is the held-out losses as a row of bars.
func (c Curves) bars() string {
	const levels, width = "▁▂▃▄▅▆▇█", 24
	looks := c.Looks[max(0, len(c.Looks)-width):]
	most := 0.0
	for _, look := range looks {
		most = max(most, look.HeldLoss)
	}
	var text strings.Builder
	for _, look := range looks {
		level := 0
		if most > 0 {
			level = int(7.99 * max(0, look.HeldLoss) / most)
		}
		text.WriteRune([]rune(levels)[level])
	}
	return text.String()
}

// Printed is a progress for terminals: one line, written anew at each look, with the held-out losses as bars.
func Printed(w io.Writer) func(Curves) {
	start, longest := time.Now(), 0
	return func(c Curves) {
		line := fmt.Sprintf("%s  %s  %v", c, c.bars(), time.Since(start).Round(100*time.Millisecond))
		longest = max(longest, len([]rune(line)))
		fmt.Fprintf(w, "\r%s%s", line, strings.Repeat(" ", longest-len([]rune(line))))
		if c.Ended {
			fmt.Fprintln(w)
		}
	}
}

// Plotted is a progress that shows the curves' plot, from the second look on: in a notebook by show = nb.Live().
func Plotted(show func(plotting.Plot)) func(Curves) {
	return func(c Curves) {
		if len(c.Looks) > 1 {
			show(c.Plot())
		}
	}
}

func sortedNames(list map[string]*tensors.Tensor) []string { return slices.Sorted(maps.Keys(list)) }
