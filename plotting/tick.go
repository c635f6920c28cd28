package plotting

import (
	"math"
	"strconv"
	"strings"
)

// tick is a labelled place of an axis or a colour bar.
type tick struct {
	number float64
	label  string
}

// ticks are the labelled places of a scale: at most the wanted number for quantities, all for categories.
func (s *Scale) ticks(wanted int) []tick {
	if s.levels != nil {
		ticks := make([]tick, len(s.levels))
		for i, level := range s.levels {
			ticks[i] = tick{float64(1 + i), shortened(level, smallFont, longest)}
		}
		return ticks
	}
	low, high := s.Ends()
	if s.log {
		return logTicks(low, high, wanted)
	}
	if s.whole { // there is no step −1 before the first
		low, high = s.low, s.high
	}
	return linearTicks(low, high, wanted, s.whole)
}

// linearTicks lie at multiples of 1, 2, 2.5 or 5 times a power of ten, of the smallest step that makes no more than wanted.
func linearTicks(low, high float64, wanted int, whole bool) []tick {
	step := niceStep((high-low)/float64(max(wanted, 1)), whole)
	for math.Floor(high/step)-math.Ceil(low/step)+1 > float64(wanted) {
		step = niceStep(step*1.01, whole)
	}
	first := math.Ceil(low / step)
	numbers := make([]float64, int(math.Floor(high/step)-first)+1)
	for i := range numbers {
		numbers[i] = (first + float64(i)) * step
	}
	return labelled(numbers, step)
}

// niceStep is the smallest nice number that is not below a step.
func niceStep(step float64, whole bool) float64 {
	if whole {
		step = math.Max(1, step)
	}
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, factor := range []float64{1, 2, 2.5, 5} {
		if nice := factor * power; nice >= step && !(whole && nice != math.Floor(nice)) {
			return nice
		}
	}
	return 10 * power
}

// labelled writes numbers that lie a step apart with as many decimals as the step needs, as powers of ten where that would be long.
func labelled(numbers []float64, step float64) []tick {
	ticks := make([]tick, len(numbers))
	largest := 0.0
	for _, v := range numbers {
		largest = math.Max(largest, math.Abs(v))
	}
	decimals := 0
	for scaled := step; decimals < 18 && math.Abs(scaled-math.Round(scaled)) > 1e-6*scaled; scaled *= 10 {
		decimals++
	}
	long := largest >= 1e6 || decimals > 4
	for i, v := range numbers {
		if math.Abs(v) < step/2 {
			v = 0 // not −0
		}
		ticks[i] = tick{v, withMinus(strconv.FormatFloat(v, 'f', decimals, 64))}
		switch {
		case long && v == 0:
			ticks[i].label = "0"
		case long:
			ticks[i].label = scientific(v, max(0, int(math.Round(math.Log10(largest/step)))))
		}
	}
	return ticks
}

// logTicks lie at powers of ten; where there would be fewer than three, at 2 and 5 times them too, or at even steps of the values.
// low and high are logarithms.
func logTicks(low, high float64, wanted int) []tick {
	if high-low < 1 {
		ticks := linearTicks(math.Pow(10, low), math.Pow(10, high), wanted, false)
		for i := range ticks {
			ticks[i].number = math.Log10(ticks[i].number)
		}
		return ticks
	}
	factors := []float64{1}
	if high-low < 2 {
		factors = []float64{1, 2, 5}
	}
	every := math.Max(1, math.Ceil((high-low)/float64(wanted)))
	var values []float64
	for exponent := math.Floor(low); exponent <= high; exponent++ {
		for _, factor := range factors {
			number := exponent + math.Log10(factor)
			if number >= low && number <= high && math.Mod(exponent, every) == 0 {
				values = append(values, number)
			}
		}
	}
	ticks := make([]tick, len(values))
	plain := low > -4.5 && high < 6
	for i, number := range values {
		value := math.Pow(10, number)
		ticks[i].number = number
		switch isPower := math.Abs(number-math.Round(number)) < 1e-9; {
		case plain:
			ticks[i].label = strconv.FormatFloat(value, 'f', int(math.Max(0, -math.Floor(number+1e-9))), 64)
		case isPower:
			ticks[i].label = "10" + superscript(int(math.Round(number)))
		default:
			ticks[i].label = scientific(value, 0)
		}
	}
	return ticks
}

// scientific is a number such as 2.5×10⁻⁶.
func scientific(v float64, decimals int) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', decimals, 64), "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	power, _ := strconv.Atoi(exponent)
	return withMinus(mantissa) + "×10" + superscript(power)
}

func superscript(exponent int) string {
	return strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹").
		Replace(strconv.Itoa(exponent))
}

func withMinus(number string) string { return strings.Replace(number, "-", "−", 1) }
