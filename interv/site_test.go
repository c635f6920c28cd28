package interv_test

import (
	"slices"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
)

// A component may be in some layers only: the others are refused, with those that have it.
func TestComponentsOfSomeLayers(t *testing.T) {
	catalogue := interv.Catalogue{Model: "mixed", Sites: []interv.Sites{
		{Component: "everywhere", Layers: 6, Width: 2}, {Component: "odd", Layers: 6, Only: []int{1, 3, 5}, Width: 2},
		{Component: "one", Layers: 6, Only: []int{2}, Width: 2}}}
	for _, c := range []struct {
		site interv.Site
		word string // of the refusal, empty for none
	}{
		{interv.Site{Layer: 3, Component: "odd"}, ""}, {interv.Site{Layer: 2, Component: "one"}, ""}, {interv.Site{Layer: 5, Component: "everywhere"}, ""},
		{interv.Site{Layer: 2, Component: "odd"}, "mixed: layer of odd: got 2, wanted 1, 3 or 5"},
		{interv.Site{Layer: 6, Component: "odd"}, "got 6, wanted 1, 3 or 5"},
		{interv.Site{Layer: 0, Component: "one"}, "layer of one: got 0, wanted 2"},
		{interv.Site{Layer: 6, Component: "everywhere"}, "layer of everywhere: got 6, wanted 0 to 5"},
	} {
		found, err := catalogue.Find(c.site)
		if c.word != "" {
			wanted.Refusal(t, err, c.word)
		} else if err != nil || found.Component != c.site.Component {
			t.Errorf("%s: got %v, %v", c.site, found, err)
		}
	}
	var odd []int
	for _, site := range catalogue.All() {
		if site.Component == "odd" {
			odd = append(odd, site.Layer)
		}
	}
	if !slices.Equal(odd, []int{1, 3, 5}) || len(catalogue.All()) != 6+3+1 {
		t.Errorf("got %v", catalogue.All())
	}
}
