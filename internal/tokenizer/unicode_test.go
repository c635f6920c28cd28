package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Hugging Face's library (0.22) splits a text of all characters in the same places, and makes the same of each in normal forms.
func TestUnicode(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds: all characters, 15 times")
	}
	data, err := os.ReadFile("testdata/unicode/digests.json")
	if err != nil {
		t.Fatal(err)
	}
	var wanted struct{ Patterns, Digests map[string]string }
	if err := json.Unmarshal(data, &wanted); err != nil {
		t.Fatal(err)
	}
	var all []rune
	for r := range rune(unicode.MaxRune + 1) {
		if utf8.ValidRune(r) {
			all = append(all, r)
		}
	}
	parts := map[string]func(add func(string)){}
	splits := func(name, file string) {
		split, err := parseSplitter([]byte(file))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parts[name] = func(add func(string)) {
			for _, p := range split(whole(string(all))) {
				add(p.text)
			}
		}
	}
	splits("Digits", `{"type": "Digits", "individual_digits": false}`)
	splits("WhitespaceSplit", `{"type": "WhitespaceSplit"}`)
	for name, pattern := range wanted.Patterns {
		quoted, _ := json.Marshal(pattern)
		splits(name, `{"type": "Split", "pattern": {"Regex": `+string(quoted)+`}, "behavior": "Isolated", "invert": false}`)
	}
	for name, f := range forms {
		parts[name] = func(add func(string)) {
			for _, r := range all {
				add(f.apply(whole(string(r))).text)
			}
		}
		parts[name+" among marks"] = func(add func(string)) {
			for _, r := range all {
				add(f.apply(whole("a\u0315" + string(r) + "\u0334\u0301")).text)
			}
		}
	}
	if len(parts) != len(wanted.Digests) {
		t.Errorf("got %d digests, wanted %d", len(wanted.Digests), len(parts))
	}
	for name, list := range parts {
		digest := sha256.New()
		list(func(part string) { digest.Write(append([]byte(part), 0)) })
		if got := hex.EncodeToString(digest.Sum(nil)); got != wanted.Digests[name] {
			t.Errorf("%s: got digest %s, wanted %s", name, got, wanted.Digests[name])
		}
	}
}

// Every character is in one category, or in none, and the sets are those of Go for all characters that Unicode 15 has.
func TestProperties(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds: all characters in all categories")
	}
	for name, table := range unicode.Categories {
		if len(name) > 2 || name == "Cs" || name == "C" || name == "Cn" || name == "LC" {
			continue
		}
		list := mustProperty(name)
		for r := range rune(unicode.MaxRune + 1) {
			older := unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co)
			moved := r == 0x1171e // from Mn to Mc in Unicode 16
			if older && !moved && within(list, r) != unicode.Is(table, r) && unicode.Version == "15.0.0" {
				t.Errorf("%s: %U: got %t, wanted %t", name, r, within(list, r), !within(list, r))
			}
		}
	}
	control, unassigned := mustProperty("C"), mustProperty("Cn")
	for r, want := range map[rune][2]bool{'a': {}, '\n': {true, false}, 0x378: {true, true}, 0x10ffff: {true, true}, 0xe000: {true, false}} {
		if within(control, r) != want[0] || within(unassigned, r) != want[1] {
			t.Errorf("%U: got %t and %t, wanted %v", r, within(control, r), within(unassigned, r), want)
		}
	}
	for _, name := range []string{"", "X", "Y", "Xx", "known", "numeric", "Alnum"} {
		if list, err := property(name); err == nil || !strings.Contains(err.Error(), "invalid character class") {
			t.Errorf("%q: got %v (%v)", name, list, err)
		}
	}
}
