package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// expected wants a form to make of a text what x/text makes of it, of parts that lie in it, one after the other.
func expected(t *testing.T, name, text string) {
	t.Helper()
	got := forms[name].apply(whole(text))
	want := forms[name].whole.String(text)
	mistaken := forms[name].composes && forms[name].decomposed.String(want) != forms[name].decomposed.String(text) // see pairOf
	if !mistaken && !strings.ContainsFunc(text, newer) && got.text != want {
		t.Fatalf("%s of %+q: got %+q, wanted %+q", name, text, got.text, want)
	}
	start, end := 0, 0
	for i := range len(got.text) {
		if got.from[i] < start || got.to[i] < end || got.from[i] >= got.to[i] || got.to[i] > len(text) {
			t.Fatalf("%s of %+q: got byte %d from bytes %d to %d, after those from %d to %d", name, text, i, got.from[i], got.to[i], start, end)
		}
		start, end = got.from[i], got.to[i]
	}
}

// newer tells whether x/text does something to a character that the tables do not know, and which they pass by.
func newer(r rune) bool {
	p := norm.NFKD.PropertiesString(string(r))
	return !changes(r) && (p.Decomposition() != nil || p.CCC() != 0)
}

// Each character alone, and after and before others that it may compose with.
func TestForms(t *testing.T) {
	for name := range forms {
		for r := range rune(unicode.MaxRune + 1) {
			if !utf8.ValidRune(r) || testing.Short() && r%7 != 0 {
				continue
			}
			text := string(r)
			if properties := forms[name].whole.PropertiesString(text); properties.BoundaryBefore() && forms[name].whole.IsNormalString(text) {
				continue
			}
			expected(t, name, text)
			expected(t, name, "a"+text+"b")
			expected(t, name, text+text+"\u0301"+text)
			expected(t, name, "e\u0327"+text+"\u0323\u1161\u11a8")
		}
	}
}

// Random texts of characters that change, combine or compose.
func TestFormsOfTexts(t *testing.T) {
	var lively []rune
	for r := range rune(unicode.MaxRune + 1) {
		if p := norm.NFKC.PropertiesString(string(r)); utf8.ValidRune(r) && (!p.BoundaryBefore() || p.Decomposition() != nil) {
			lively = append(lively, r)
		}
	}
	lively = append(lively, []rune("aeiouAqs가각한\u1100\u1161\u11a8\u0f40\u0928\u1025")...)
	draw := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		text := make([]rune, 1+draw.IntN(12))
		for i := range text {
			text[i] = lively[draw.IntN(len(lively))]
			if draw.IntN(3) == 0 {
				text[i] = lively[len(lively)-1-draw.IntN(18)]
			}
		}
		for name := range forms {
			expected(t, name, string(text))
		}
	}
}

// More combining characters than x/text takes for one segment: they are ordered throughout, and no character is put in.
func TestManyCombining(t *testing.T) {
	text := "a" + strings.Repeat("\u0301", 40) + strings.Repeat("\u0323", 40) + "b"
	for name, want := range map[string]string{
		"NFD": "a" + strings.Repeat("\u0323", 40) + strings.Repeat("\u0301", 40) + "b",
		"NFC": "\u1ea1" + strings.Repeat("\u0323", 39) + strings.Repeat("\u0301", 40) + "b",
	} {
		if got := forms[name].apply(whole(text)); got.text != want || len(got.from) != len(want) {
			t.Errorf("%s: got %+q, wanted %+q", name, got.text, want)
		}
	}
}

// Characters that become several segments, with what Hugging Face's library (0.22) makes of them.
func TestSegments(t *testing.T) {
	for _, name := range []string{"nfc", "nfkc"} {
		file, err := os.ReadFile(filepath.Join("testdata/forms", name, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		tokenizer, err := Parse(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Text string
			IDs  []int
		}
		if file, err = os.ReadFile(filepath.Join("testdata/forms", name, "expected.json")); err == nil {
			err = json.Unmarshal(file, &cases)
		}
		if err != nil || len(cases) == 0 {
			t.Fatalf("got %d cases (%v)", len(cases), err)
		}
		for _, c := range cases {
			if tokens, err := tokenizer.Encode(c.Text, false); err != nil || !slices.Equal(ids(tokens), c.IDs) {
				t.Errorf("%s, %+q: got %v, wanted %v (%v)", name, c.Text, ids(tokens), c.IDs, err)
			}
		}
	}
}

// FuzzForms wants the forms of x/text, where that does not break long sequences of combining characters.
func FuzzForms(f *testing.F) {
	for _, text := range []string{"a\u0f69b", "ﬁ ½ ﷺ", "q\u0307\u0323 \u0344", "가 \u1100\u1161\u11a8", "\u1e9b\u0323\u0958", "\U0002f800\uf900"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		for name := range forms {
			if strings.ContainsRune(forms[name].whole.String(text), '\u034f') {
				return // the character that x/text puts in
			}
			expected(t, name, text)
		}
	})
}
