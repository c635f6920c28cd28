package tokenizer

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Nearly all of a tokenizer.json is its vocabulary and its merges: a quarter of a million entries of a form so simple that reading them by
// hand takes a fraction of the time of encoding/json. The rest of the file is left to that, and so is all of a file in which anything is
// otherwise than expected, so that it finds the fault or the meaning.

// tables are a model's vocabulary and merges as they stand in a file.
type tables struct {
	entries []entry
	merges  [][2]string
}

// scan takes the tables out of tokenizer.json, and returns the file with nothing in their place; ok is false if it could not.
func scan(text string) (rest string, t *tables, ok bool) {
	if !utf8.ValidString(text) {
		return "", nil, false
	}
	var spans [2]span // of the vocabulary and of the merges
	s := &scanner{text: text}
	models := 0
	err := s.fields(func(name string) error {
		if name != "model" {
			if strings.EqualFold(name, "model") {
				return errUnexpected // encoding/json takes it for one
			}
			return s.skip()
		}
		if models++; models > 1 {
			return errUnexpected
		}
		return s.fields(func(name string) error {
			s.space()
			start := s.at
			err := s.skip()
			for i, wanted := range []string{"vocab", "merges"} {
				if !strings.EqualFold(name, wanted) {
					continue
				}
				if name != wanted || spans[i].end > 0 {
					return errUnexpected
				}
				spans[i] = span{start, s.at}
			}
			return err
		})
	})
	if err != nil || spans[0].end == 0 || spans[1].end == 0 {
		return "", nil, false
	}
	t = &tables{}
	failures := make(chan error)
	go func() {
		s := &scanner{text: text[:spans[1].end], at: spans[1].start}
		var err error
		t.merges, err = s.merges()
		failures <- err
	}()
	s = &scanner{text: text[:spans[0].end], at: spans[0].start}
	t.entries, err = s.vocabulary()
	if failed := <-failures; err != nil || failed != nil || len(t.entries) == 0 {
		return "", nil, false
	}
	first, second := spans[0], spans[1]
	empty := [2]string{"{}", "[]"}
	if first.start > second.start {
		first, second, empty = second, first, [2]string{"[]", "{}"}
	}
	return text[:first.start] + empty[0] + text[first.end:second.start] + empty[1] + text[second.end:], t, true
}

// span is a part of a text.
type span struct{ start, end int }

var errUnexpected = errors.New("not as expected")

// scanner reads JSON.
type scanner struct {
	text string
	at   int
}

// space passes white space.
func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return
		}
	}
}

// next passes white space and a character if it is the next.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// list reads what stands between two brackets, divided by commas.
func (s *scanner) list(open, end byte, item func() error) error {
	if !s.next(open) {
		return errUnexpected
	}
	if s.next(end) {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.next(end) {
			return nil
		}
		if !s.next(',') {
			return errUnexpected
		}
	}
}

// fields reads an object.
func (s *scanner) fields(field func(name string) error) error {
	return s.list('{', '}', func() error {
		name, err := s.string()
		if err != nil {
			return err
		}
		if !s.next(':') {
			return errUnexpected
		}
		return field(name)
	})
}

// string reads a string. Without an escape it is a part of the text, and costs no memory.
func (s *scanner) string() (string, error) {
	if !s.next('"') {
		return "", errUnexpected
	}
	start, escaped := s.at, false
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			if escaped {
				return unquoted(s.text[start-1 : s.at])
			}
			return s.text[start : s.at-1], nil
		case c == '\\':
			escaped = true
			s.at++
		case c < ' ':
			return "", errUnexpected
		}
	}
	return "", errUnexpected
}

func unquoted(text string) (value string, err error) {
	err = json.Unmarshal([]byte(text), &value)
	return value, err
}

// skip passes a value. It may not be valid.
func (s *scanner) skip() error {
	s.space()
	for depth := 0; s.at < len(s.text); {
		switch s.text[s.at] {
		case '"':
			end := s.at + 1
			for {
				i := strings.IndexByte(s.text[end:], '"')
				if i < 0 {
					return errUnexpected
				}
				end += i + 1
				if !escapes(s.text[:end-1]) {
					break
				}
			}
			s.at = end
		case '{', '[':
			depth++
			s.at++
		case '}', ']', ',':
			if depth == 0 {
				return nil
			}
			if s.text[s.at] != ',' {
				depth--
			}
			s.at++
			if depth == 0 {
				return nil
			}
		default:
			s.at++
		}
	}
	return errUnexpected
}

// escapes tells whether a text ends in an odd number of \.
func escapes(text string) bool {
	return (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
}

// vocabulary reads an object of small numbers.
func (s *scanner) vocabulary() ([]entry, error) {
	entries := make([]entry, 0, 1+strings.Count(s.text[s.at:], ","))
	err := s.fields(func(name string) error {
		s.space()
		start, id := s.at, 0
		for ; s.at < len(s.text) && s.at-start < 9 && '0' <= s.text[s.at] && s.text[s.at] <= '9'; s.at++ {
			id = id*10 + int(s.text[s.at]-'0')
		}
		if s.at == start || s.text[start] == '0' && s.at > start+1 {
			return errUnexpected
		}
		entries = append(entries, entry{name, id})
		return nil
	})
	return entries, err
}

// merges reads merges, written as ["a", "b"] or "a b".
func (s *scanner) merges() (list [][2]string, err error) {
	list = make([][2]string, 0, 1+strings.Count(s.text[s.at:], ",")/2)
	err = s.list('[', ']', func() error {
		m, err := s.merge()
		list = append(list, m)
		return err
	})
	return list, err
}

func (s *scanner) merge() (m [2]string, err error) {
	if s.next('[') {
		if m[0], err = s.string(); err == nil && s.next(',') {
			if m[1], err = s.string(); err == nil && s.next(']') {
				return m, nil
			}
		}
		return m, errUnexpected
	}
	line, err := s.string()
	if err != nil {
		return m, err
	}
	at := strings.IndexByte(line, ' ')
	if at < 0 || strings.IndexByte(line[at+1:], ' ') >= 0 {
		return m, errUnexpected
	}
	return [2]string{line[:at], line[at+1:]}, nil
}
