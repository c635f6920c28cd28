package tokenizer

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// expression is a regular expression of a tokenizer, written for Oniguruma, in the terms of Go's regexp: without look-ahead,
// and with Unicode's white space for \s.
type expression struct {
	*regexp.Regexp
	// trims tells that the expression ended with one form of look-ahead that most tokenizers have, \s+(?!\S)|\s+: white space
	// up to the last character before a word. The first group is then that white space, to be trimmed after the match.
	trims bool
}

const (
	lookAhead  = `\s+(?!\S)|\s+`
	whiteSpace = `\t-\r\x{85}\p{Z}`
)

// parseExpression translates an expression, and refuses what the two engines understand differently.
func parseExpression(text string) (*expression, error) {
	e := &expression{}
	rest, trims := strings.CutSuffix(text, lookAhead)
	if trims && !strings.HasSuffix(rest, "|") && rest != "" || strings.HasSuffix(rest, `\|`) {
		rest = text // the look-ahead does not stand alone, and is refused
	}
	translated, err := translate(rest)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", text, err)
	}
	if e.trims = trims; trims {
		translated += `([` + whiteSpace + `]+)`
	}
	if e.Regexp, err = regexp.Compile(translated); err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", text, err)
	}
	if e.MatchString("") {
		return nil, fmt.Errorf("regular expression %q: it matches nothing at all, wanted one that does not", text)
	}
	return e, nil
}

// find returns the matches, [start, end] each.
func (e *expression) find(text string) (matches [][2]int) {
	for at := 0; at < len(text); {
		m := e.FindStringSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		start, end := at+m[0], at+m[1]
		if e.trims && m[2] >= 0 && end < len(text) {
			if _, size := utf8.DecodeLastRuneInString(text[start:end]); end-size > start {
				end -= size
			}
		}
		matches = append(matches, [2]int{start, end})
		at = end
	}
	return matches
}

// translate rewrites an expression rune by rune. What it copies means the same in both engines.
func translate(text string) (string, error) {
	var out strings.Builder
	class := false // inside [ ]
	for i := 0; i < len(text); {
		rest := text[i:]
		size := 1
		switch c := text[i]; {
		case c == '\\':
			written, length, err := translateEscape(rest, class)
			if err != nil {
				return "", err
			}
			out.WriteString(written)
			size = length
		case class && (c == '[' || strings.HasPrefix(rest, "&&")):
			return "", fmt.Errorf("got %q within a class, wanted single characters", c)
		case class:
			class = c != ']'
			out.WriteByte(c)
		case c == '[':
			class = true
			out.WriteByte(c)
			if strings.HasPrefix(rest, "[^") {
				out.WriteByte('^')
				size = 2
			}
			if strings.HasPrefix(rest[size:], "]") {
				return "", fmt.Errorf("got a class that begins with ], wanted \\]")
			}
		case strings.HasPrefix(rest, "(?"):
			size = len(group.FindString(rest))
			if size == 0 {
				return "", fmt.Errorf("got %.4q, wanted (?: or (?i: or a plain group; Govene knows look-ahead only as |%s at the end", rest, lookAhead)
			}
			out.WriteString(rest[:size])
		case c == '(': // the first group is that of trims
			out.WriteString("(?:")
		case strings.IndexByte("?*+{", c) >= 0:
			size = len(quantifier.FindString(rest))
			if size == 0 || size < len(rest) && strings.IndexByte("?*+{", rest[size]) >= 0 {
				return "", fmt.Errorf("got %.4q, wanted one of ?, *, +, {n}, {n,} and {n,m} alone", rest)
			}
			out.WriteString(rest[:size])
		case c == '^' || c == '$':
			return "", fmt.Errorf("got the anchor %q, wanted none", c)
		default:
			out.WriteByte(c)
		}
		i += size
	}
	return out.String(), nil
}

var (
	group      = regexp.MustCompile(`^\(\?i?:`)
	quantifier = regexp.MustCompile(`^([?*+]|\{[0-9]+(,[0-9]*)?\})`)
	named      = regexp.MustCompile(`^\\[pP](?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))`)
)

// translateEscape rewrites an escape at the start of a text, and returns its length there.
func translateEscape(text string, class bool) (written string, length int, err error) {
	if len(text) < 2 {
		return "", 0, fmt.Errorf(`got a single \ at the end`)
	}
	switch c := text[1]; {
	case c == 's' && class:
		return whiteSpace, 2, nil
	case c == 's':
		return "[" + whiteSpace + "]", 2, nil
	case c == 'S' && !class:
		return "[^" + whiteSpace + "]", 2, nil
	case c == 'd':
		return translateProperty("Nd", false, class, 2)
	case c == 'p' || c == 'P':
		if found := named.FindStringSubmatch(text); found != nil {
			return translateProperty(found[2]+found[3], (c == 'P') != (found[1] == "^"), class, len(found[0]))
		}
	case c == 'r' || c == 'n' || c == 't' || c == 'f' || c == 'v':
		return text[:2], 2, nil
	case c < utf8.RuneSelf && !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'):
		return text[:2], 2, nil
	}
	return "", 0, fmt.Errorf(`got %.2q, wanted one of \s, \S, \d, \p{…}, \r, \n, \t, \f, \v and escaped punctuation`, text)
}

// translateProperty writes the characters of a category or script, or all others, as a class or into one.
func translateProperty(name string, negated, within bool, length int) (string, int, error) {
	list, err := property(name)
	if err != nil {
		return "", 0, err
	}
	if negated {
		list = others(list)
	}
	if within {
		return class(list), length, nil
	}
	return "[" + class(list) + "]", length, nil
}
