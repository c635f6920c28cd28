package main

import (
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/govene/govene/interv/das"
)

// What the program reports is what is so: the network knows its task, both variables are exchanged after the first layer, far better than
// by any control, and after the last nothing is.
func TestTheProgramFindsBothVariables(t *testing.T) {
	if testing.Short() || strings.HasPrefix(os.Getenv(compute.ConfigEnvVar), "xla") {
		t.Skip("takes seconds, and more on XLA, which would compile some thirty programs")
	}
	r := report()
	if r.Base < 0.99 || r.Sources < 0.99 {
		t.Errorf("the network is right on %.3f of bases and %.3f of sources, wanted nearly all", r.Base, r.Sources)
	}
	first, last := r.Result.Alignments[0].Place.String(), r.Result.Alignments[len(r.Result.Alignments)-1].Place.String()
	found := map[string]das.Row{}
	for _, row := range r.Rows {
		switch {
		case row.Name == das.Found:
			found[row.Place] = row
		case row.Name == das.Centred || row.Name == das.Spread: // baselines, which may come near
		case row.Place == first && row.Accuracy > found[first].Accuracy-0.2:
			t.Errorf("%s: %s has %.3f beside %.3f of the alignment", row.Place, row.Name, row.Accuracy, found[first].Accuracy)
		}
	}
	if found[first].Accuracy < 0.95 || found[last].Accuracy > 0.6 {
		t.Errorf("got %.3f after the first layer and %.3f after the last, wanted nearly 1 and nearly a half", found[first].Accuracy, found[last].Accuracy)
	}
}
