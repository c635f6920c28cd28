package plotting_test

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/govene/govene/plotting"
)

// A table that was read is written and read again without any change.
func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,x\n2,y\n", "x\n\"\"\n", "v\n1.5\n-2e-7\nNaN\n", "a\n007\n", "a\n-0\n", "\"q\"\"q\",c\n\" the\",1e400\n", "a\n+Inf\n1\n", "a,b\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		frame, err := plotting.ReadCSV(strings.NewReader(text))
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := frame.WriteCSV(&first); err != nil {
			t.Fatal(err)
		}
		again, err := plotting.ReadCSV(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("%q was written and cannot be read: %v", first.String(), err)
		}
		if frame.Len() != again.Len() || frame.String() != again.String() {
			t.Fatalf("got\n%s, wanted\n%s", again, frame)
		}
		if err := again.WriteCSV(&second); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("got %q, wanted %q", second.String(), first.String())
		}
	})
}

// Whatever a text holds, the document is well-formed, and its text is that text with U+FFFD for what XML cannot hold.
func FuzzTexts(f *testing.F) {
	for _, seed := range []string{"a", `<&>"'`, "\x00\x1b", "]]>", "\xff", "\ufffe", "\u202e", "{{", "%s", "a\nb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		frame := plotting.MustFrame(plotting.NewColumn("x", []string{text}), plotting.NewColumn("y", []float64{1}))
		document := plotting.New(frame, plotting.Aes{X: "x", Y: "y", Label: "x", Fill: "x"}).Add(
			plotting.Bar{},
			plotting.Text{},
			plotting.Labels{Description: "the description of " + text},
		).MustBytes()
		checkDocument(t, document)
		var parsed struct {
			Desc string `xml:"desc"`
		}
		if err := xml.Unmarshal(document, &parsed); err != nil {
			t.Fatal(err)
		}
		want := strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r != 0xfffe && r != 0xffff {
				return r
			}
			return utf8.RuneError
		}, "the description of "+text)
		if parsed.Desc != want {
			t.Errorf("got %q, wanted %q", parsed.Desc, want)
		}
	})
}
