package tokenizer

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Tokenizers must agree on what a letter is, and Unicode's versions do not. Hugging Face's library (0.22) knows Unicode 16 in its regular
// expressions and Unicode 9 in its normal forms; what Go knows depends on its version (1.26: Unicode 15). So the sets of characters are a
// table, made by testdata/unicode.py from that library and compared with it by TestUnicode, character by character.

//go:embed unicode.txt
var unicodeText string

// unicodeLines are the table's lines by their names: categories of two letters, scripts, and two sets of their own: "known", the
// characters that change or combine in normal forms, and "numeric", the numbers of the pre-tokenizer Digits.
var unicodeLines = sync.OnceValue(func() map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(unicodeText) {
		name, ranges, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines[name] = ranges
	}
	return lines
})

// runeRange is the characters from the first to the second.
type runeRange [2]rune

// property is the set of characters of a category or script, named as in \p{…}.
func property(name string) ([]runeRange, error) {
	var list []runeRange
	switch lines := unicodeLines(); {
	case name == "C" || name == "Cn": // all others, and in the one case control characters
		for _, of := range []string{"L", "M", "N", "P", "S", "Z"} {
			list = append(list, mustProperty(of)...)
		}
		if name == "Cn" {
			list = append(list, mustProperty("Cc")...)
			list = append(list, mustProperty("Cf")...)
			list = append(list, mustProperty("Co")...)
		}
		return others(merged(list)), nil
	case len(name) == 1:
		for of, ranges := range lines {
			if len(of) == 2 && of[:1] == name && of != "Yi" { // the one script of two letters
				list = append(list, parseRanges(ranges)...)
			}
		}
	case name != "known" && name != "numeric":
		list = parseRanges(lines[name])
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("got the invalid character class %q, wanted a category or script of Unicode", name)
	}
	return merged(list), nil
}

// mustProperty is property for a name that is known to be one.
func mustProperty(name string) []runeRange {
	list, err := property(name)
	if err != nil {
		panic(err)
	}
	return list
}

func parseRanges(text string) (list []runeRange) {
	for one := range strings.FieldsSeq(text) {
		from, to, more := strings.Cut(one, "-")
		if !more {
			to = from
		}
		first, err := strconv.ParseUint(from, 16, 32)
		last, failed := strconv.ParseUint(to, 16, 32)
		if err != nil || failed != nil {
			panic("unicode.txt: " + one)
		}
		list = append(list, runeRange{rune(first), rune(last)})
	}
	return list
}

// merged sorts ranges, and joins neighbours.
func merged(list []runeRange) (joined []runeRange) {
	slices.SortFunc(list, func(a, b runeRange) int { return int(a[0] - b[0]) })
	for _, r := range list {
		if last := len(joined) - 1; last >= 0 && joined[last][1]+1 >= r[0] {
			joined[last][1] = max(joined[last][1], r[1])
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}

// others is all characters that are not in ranges in order.
func others(list []runeRange) (rest []runeRange) {
	from := rune(0)
	for _, r := range list {
		if from < r[0] {
			rest = append(rest, runeRange{from, r[0] - 1})
		}
		from = r[1] + 1
	}
	if from <= unicode.MaxRune {
		rest = append(rest, runeRange{from, unicode.MaxRune})
	}
	return rest
}

// within tells whether ranges in order have a character.
func within(list []runeRange, r rune) bool {
	_, found := slices.BinarySearchFunc(list, r, func(in runeRange, r rune) int {
		switch {
		case in[1] < r:
			return -1
		case in[0] > r:
			return 1
		}
		return 0
	})
	return found
}

// class writes ranges as they stand in a class of a regular expression.
func class(list []runeRange) string {
	var out strings.Builder
	for _, r := range list {
		fmt.Fprintf(&out, `\x{%X}-\x{%X}`, r[0], r[1])
	}
	return out.String()
}

var (
	numeric = sync.OnceValue(func() []runeRange { return parseRanges(unicodeLines()["numeric"]) })
	known   = sync.OnceValue(func() []runeRange { return parseRanges(unicodeLines()["known"]) })
)

// isNumber tells whether a character is a number to the pre-tokenizer Digits.
func isNumber(r rune) bool { return within(numeric(), r) }

// changes tells whether a character decomposes in a normal form, or has a combining class other than 0.
func changes(r rune) bool { return r > unicode.MaxASCII && within(known(), r) }
