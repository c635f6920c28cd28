package das

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// add measures what a search has found at a place.
func (r *Report) add(p *placed, name string, found []Alignment, test examples) error {
	var correct [][]bool
	for chunk := range slices.Chunk(found, p.settings.chunk()) {
		rotations, selected := stacked(chunk, p.width, p.variables)
		some, _, err := p.measure(rotations, selected, test)
		if err != nil {
			return err
		}
		correct = append(correct, some...)
	}
	first := 0
	for _, c := range (&Result{found}).cells() {
		best, seeds := 0, make([]float64, len(c.seeds))
		for i, a := range c.seeds {
			seeds[i] = share(correct[first+i])
			if name != Drawn && c.seeds[best].worse(a) { // nothing was chosen of what is drawn
				best = i
			}
		}
		found := row(c.place.String(), c.rank, name, correct[first+best], seeds)
		found.Held, found.Ranks = c.seeds[best].Accuracy, c.seeds[best].Ranks
		r.Rows = append(r.Rows, found)
		first += len(c.seeds)
	}
	return nil
}

// stacked are alignments as a stack, [alignments, width, columns], and which columns belong to which variable.
func stacked(list []Alignment, width, variables int) (rotations, selected *tensors.Tensor) {
	widest := 1
	for _, a := range list {
		for _, rank := range a.Ranks {
			widest = max(widest, rank)
		}
	}
	columns := widest * variables
	flat, of := make([]float32, len(list)*width*columns), make([]float32, variables*len(list)*columns)
	for i, a := range list {
		if a.Rotation == nil {
			continue
		}
		r, size, from := tensors.MustCopyFlatData[float32](a.Rotation), a.Rotation.Shape().Dim(1), 0
		for v, rank := range a.Ranks {
			for k := range rank {
				of[(v*len(list)+i)*columns+v*widest+k] = 1
				for d := range width {
					flat[(i*width+d)*columns+v*widest+k] = r[d*size+from+k]
				}
			}
			from += rank
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, len(list), width, columns), tensors.FromFlatDataAndDimensions(of, variables, len(list), columns)
}

// ends are all dimensions, or none, as a stack of one.
func (p *placed) ends(exchanged float32) (rotations, selected *tensors.Tensor) {
	identity := make([]float32, p.width*p.width)
	for d := range p.width {
		identity[d*p.width+d] = 1
	}
	return tensors.FromFlatDataAndDimensions(identity, 1, p.width, p.width),
		tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{exchanged}, p.variables*p.width), p.variables, 1, p.width)
}

// addEnds adds the ceiling and the floor of a place.
func (r *Report) addEnds(p *placed, test examples) error {
	for i, name := range []string{None, All} {
		rotations, selected := p.ends(float32(i))
		correct, _, err := p.measure(rotations, selected, test)
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, row(p.place.String(), 0, name, correct[0], nil))
	}
	return nil
}

// own adds what the model itself knows: with nothing exchanged it is right on its own labels.
func (r *Report) own(p *placed, test Data) error {
	rotations, selected := p.ends(0)
	accuracy := func(inputs interv.Inputs, labels []int) (float64, error) {
		all, err := p.read(Data{Base: inputs, Sources: test.Sources, Labels: labels})
		if err != nil {
			return 0, err
		}
		correct, _, err := p.measure(rotations, selected, all)
		return share(correct[0]), err
	}
	var err error
	if r.Base, err = accuracy(test.Base, test.BaseLabels); err != nil {
		return err
	}
	for v, source := range test.Sources {
		accuracy, err := accuracy(source, test.SourceLabels[v])
		if err != nil {
			return err
		}
		r.Sources += accuracy / float64(len(test.Sources))
	}
	return nil
}

// row is an accuracy with its interval: the 2.5% and 97.5% quantiles of the accuracies of 1,000 resamplings with replacement.
func row(place string, rank int, name string, correct []bool, seeds []float64) Row {
	random := rand.New(rand.NewPCG(uint64(len(correct)), 0))
	resampled := make([]float64, 1000)
	for i := range resampled {
		right := 0
		for range correct {
			if correct[random.IntN(len(correct))] {
				right++
			}
		}
		resampled[i] = float64(right) / float64(len(correct))
	}
	slices.Sort(resampled)
	return Row{Place: place, Rank: rank, Name: name, Accuracy: share(correct), Low: resampled[25], High: resampled[974], Seeds: seeds}
}

// warn says in words what speaks against the alignments.
func (r *Report) warn() {
	add := func(format string, values ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, values...)) }
	if least := min(r.Base, r.Sources); least < 0.99 {
		add("The model itself is right on %.1f%% of the inputs only: it does not compute what the causal model does.", 100*least)
	}
	if r.Unchanged > 0.75 {
		add("The counterfactual label is the base's in %.1f%% of the examples: doing nothing scores high.", 100*r.Unchanged)
	}
	for _, found := range r.Rows {
		if found.Name != Found {
			continue
		}
		where := found.Place
		if found.Rank > 0 {
			where += fmt.Sprintf(", rank %d", found.Rank)
		}
		if found.Held-found.High > 0.02 {
			add("%s: the alignment has %.3f on the held-out examples, and %.3f on the test's: it does not carry over.", where, found.Held, found.Accuracy)
		}
		if least, most := slices.Min(found.Seeds), slices.Max(found.Seeds); most-least > 0.1 {
			add("%s: seeds come to between %.3f and %.3f: the search is hard there, and more seeds or steps may find more.", where, least, most)
		}
		for _, control := range r.Rows {
			same := control.Place == found.Place && (control.Rank == found.Rank || control.Rank == 0)
			what := "baseline"
			if slices.Contains([]string{Untrained, Drawn, Shuffled, None}, control.Name) {
				what = "control"
			}
			switch {
			case !same || control.Name == Found || control.Name == All:
			case control.Accuracy >= found.Accuracy:
				add("%s: the %s %q, %.3f, is as good as the alignment, %.3f.", where, what, control.Name, control.Accuracy, found.Accuracy)
			case control.High >= found.Low:
				add("%s: the interval of the %s %q, up to %.3f, overlaps with that of the alignment, from %.3f.", where, what, control.Name, control.High, found.Low)
			}
		}
	}
}
