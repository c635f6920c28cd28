package plotting

import (
	"fmt"
	"math"
)

// Scale places the values of one axis, in two steps: a value has a number (its own, its logarithm, or 1 for the first category, 2
// for the second …), and a number a place on the page, in pixels.
type Scale struct {
	where   string   // what messages call it: `y (column "effect")`
	levels  []string // of an axis of categories
	whole   bool     // values are whole numbers, and so are ticks
	log     bool
	reverse bool

	margin    float64 // by which part of their range quantities' axis reaches beyond them
	low, high float64 // the numbers that occur, with what layers added
	from, to  float64 // the pixels of the lower and the upper end
}

func newScale(c Column, aesthetic string) *Scale {
	s := &Scale{where: fmt.Sprintf("%s (column %q)", aesthetic, c.name), margin: 0.05, low: math.Inf(1), high: math.Inf(-1)}
	if c.categorical() {
		s.levels, _ = c.factor()
	} else {
		_, s.whole = c.values.([]int)
	}
	return s
}

// numbers are the values of the scale's column as numbers.
func (s *Scale) numbers(c Column) ([]float64, error) {
	numbers := make([]float64, c.len())
	if s.levels != nil {
		_, index := c.factor()
		for row, i := range index {
			numbers[row] = float64(1 + i)
		}
		return numbers, nil
	}
	for row := range numbers {
		var err error
		if numbers[row], err = s.Number(c.number(row)); err != nil {
			e := *err.(*Error)
			e.Where += fmt.Sprintf(", row %d", row)
			return nil, &e
		}
	}
	return numbers, nil
}

// Number is the number of a quantity. One that the scale has no place for is an error.
func (s *Scale) Number(v float64) (float64, error) {
	if !(math.Abs(v) < 1e300) {
		return 0, refuse(s.where, fmt.Sprint(v), "a finite number below 1e300")
	}
	if !s.log {
		return v, nil
	}
	if v <= 0 {
		return 0, refuse(s.where, fmt.Sprint(v), "a positive number, as the axis is logarithmic")
	}
	return math.Log10(v), nil
}

// Include makes the axis reach a number.
func (s *Scale) Include(number float64) {
	s.low, s.high = math.Min(s.low, number), math.Max(s.high, number)
}

// Log tells whether numbers are logarithms.
func (s *Scale) Log() bool { return s.log }

// Ends are the numbers at the ends of the axis, beyond those that occur.
func (s *Scale) Ends() (low, high float64) {
	if s.levels != nil {
		return math.Min(s.low, 1-0.6), math.Max(s.high, float64(len(s.levels))+0.6)
	}
	margin := s.margin * (s.high - s.low)
	if s.high == s.low {
		margin = math.Max(0.5, 0.05*math.Abs(s.high))
	}
	return s.low - margin, s.high + margin
}

// place is where a number lies on the page.
func (s *Scale) place(number float64) float64 {
	low, high := s.Ends()
	share := (number - low) / (high - low)
	if s.reverse {
		share = 1 - share
	}
	return s.from + share*(s.to-s.from)
}

// describe is a number in the words of the axis: its category, or its value.
func (s *Scale) describe(number float64) string {
	if s.levels != nil {
		return fmt.Sprintf("%s = %q", s.where, s.levels[int(number)-1])
	}
	if s.log {
		number = math.Pow(10, number)
	}
	return fmt.Sprintf("%s = %.4g", s.where, number)
}
