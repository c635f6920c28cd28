package interv

import (
	"fmt"
	"reflect"
	"slices"
)

// plan is a config that has been checked against a catalogue.
type plan struct {
	representations []planned
	groups          int
	serial          bool
}

// planned is a representation and what follows from it.
type planned struct {
	Representation
	sites    Sites
	group    int  // the source it reads
	owner    int  // the representation whose parameters this one uses: itself, or the first of its link
	reads    bool // whether it reads a source
	readSite Site // where it reads the source: its own site, or the input of the module whose output that is
	collects bool
	gathered bool // works on the located units alone; otherwise on all, keeping the result where a unit is located
	together int  // how many units are one vector to the intervention
	width    int  // of that vector; 0 if it varies with the run
	features int  // what a subspace selects from; 0 if the intervention takes no subspace
}

// where is what messages call representation i.
func where(i int, r Representation) string {
	if r.Name != "" {
		return fmt.Sprintf("representation %d (%s, %s)", i, r.Name, r.Site())
	}
	return fmt.Sprintf("representation %d (%s)", i, r.Site())
}

// check validates the config against what the model has, without any weights.
func (c Config) check(catalogue Catalogue) (*plan, error) {
	if c.Mode != "" && c.Mode != Parallel && c.Mode != Serial {
		return nil, UnknownName("config", "mode", c.Mode, []Mode{Parallel, Serial})
	}
	checked := &plan{serial: c.Mode == Serial}
	owners, groups, names := map[string]int{}, map[string]int{}, map[string]int{}
	for i, representation := range c.Representations {
		p, err := representation.check(catalogue)
		if err != nil {
			return nil, Within(where(i, representation), err)
		}
		if first, taken := names[p.Name]; p.Name != "" && taken {
			return nil, &Error{Where: where(i, representation), Axis: "name", Got: fmt.Sprintf("%q, which representation %d has too", p.Name, first), Wanted: "another"}
		}
		names[p.Name] = i
		p.owner = i
		if first, linked := owners[p.Link]; p.Link != "" && linked {
			p.owner = first
			if err := p.checkLink(checked.representations[first]); err != nil {
				return nil, Within(where(i, representation), err)
			}
		} else if p.Link != "" {
			owners[p.Link] = i
		}
		if first, known := groups[p.Group]; p.Group != "" && known {
			p.group = first
		} else {
			p.group = checked.groups
			groups[p.Group] = p.group
			checked.groups++
		}
		checked.representations = append(checked.representations, p)
	}
	return checked, checked.checkTitles()
}

func (r Representation) check(catalogue Catalogue) (planned, error) {
	sites, err := catalogue.Find(r.Site())
	if err != nil {
		return planned{}, err
	}
	if r.Unit == "" {
		r.Unit = sites.Units[0]
	}
	if !slices.Contains(sites.Units, r.Unit) {
		return planned{}, UnknownName("", "unit", r.Unit, sites.Units)
	}
	if err := checkIntervention(r.Intervention); err != nil {
		return planned{}, err
	}
	p := planned{Representation: r, sites: sites, readSite: r.Site(), together: 1, width: sites.Width}
	_, p.collects = r.Intervention.(Collect)
	_, sourceless := r.Intervention.(Sourceless)
	p.reads = !sourceless
	if _, ok := r.Intervention.(InputReader); ok {
		if sites.Input == "" {
			return planned{}, &Error{Axis: "component", Got: string(r.Component), Wanted: "the output of a module whose input has the same width: " +
				r.Intervention.Name() + " reads that input"}
		}
		p.readSite.Component = sites.Input
	}
	if err := p.checkParameters(); err != nil {
		return planned{}, err
	}
	if subspaced, ok := r.Intervention.(Subspaced); ok {
		p.features = subspaced.Features(p.width)
	}
	return p, p.checkPartition()
}

// checkIntervention refuses none, a function without Build, and a pointer to an intervention: that is another type, so that &Collect{}
// would collect nothing.
func checkIntervention(i Intervention) error {
	if i == nil {
		return &Error{Axis: "intervention", Got: "none", Wanted: "one, such as interv.Vanilla{}"}
	}
	if of := reflect.TypeOf(i); of.Kind() == reflect.Pointer && of.Elem().Implements(reflect.TypeFor[Intervention]()) {
		return &Error{Axis: "intervention", Got: "a pointer, " + of.String(), Wanted: "the value, " + of.Elem().String()}
	}
	if function, ok := i.(interface{ check() error }); ok {
		return function.check()
	}
	return nil
}

// maxWidth is how wide a vector of units that are taken together may be.
const maxWidth = 1 << 24

// checkParameters settles how an intervention with parameters takes its units.
func (p *planned) checkParameters() error {
	_, parameterized := p.Intervention.(Parameterized)
	switch {
	case p.MaxUnits < 0:
		return &Error{Axis: "max units", Got: fmt.Sprint(p.MaxUnits), Wanted: "0 or more"}
	case !parameterized:
		return nil
	case p.sites.Width == 0:
		return &Error{Axis: "component", Got: fmt.Sprintf("%s, whose width varies with the run", p.Component),
			Wanted: "one of a fixed width: " + p.Intervention.Name() + " has parameters"}
	case p.MaxUnits > 1 && p.sites.Stepwise:
		return &Error{Axis: "max units", Got: fmt.Sprint(p.MaxUnits),
			Wanted: fmt.Sprintf("0 or 1: %s is computed step by step, so no two units exist at the same time", p.Component)}
	}
	if p.MaxUnits > maxWidth/p.sites.Width {
		return &Error{Axis: "max units", Got: fmt.Sprint(p.MaxUnits), Wanted: fmt.Sprintf("%d or fewer: a vector of at most %d numbers", maxWidth/p.sites.Width, maxWidth)}
	}
	p.together = max(1, p.MaxUnits)
	p.width *= p.together
	p.gathered = !p.sites.Stepwise
	return nil
}

// checkPartition refuses parts that name a feature twice or one that does not exist. Parts of an intervention with parameters, such as
// the columns of a rotation, stand for different things that it is to learn, so that they may not share a feature either.
func (p planned) checkPartition() error {
	if len(p.SubspacePartition) > 0 && p.features == 0 {
		return &Error{Axis: "subspace partition", Got: fmt.Sprintf("%d parts", len(p.SubspacePartition)),
			Wanted: fmt.Sprintf("none: %s takes no subspace here", p.Intervention.Name())}
	}
	_, parameterized := p.Intervention.(Parameterized)
	partOf := map[int]int{}
	for i, part := range p.SubspacePartition {
		axis := fmt.Sprintf("subspace partition, part %d", i)
		if len(part) == 0 {
			return &Error{Axis: axis, Got: "no features", Wanted: "at least one"}
		}
		for _, feature := range part {
			if feature < 0 || feature >= p.features {
				return &Error{Axis: axis, Got: fmt.Sprintf("feature %d", feature), Wanted: fmt.Sprintf("0 to %d", p.features-1)}
			}
			if other, taken := partOf[feature]; taken && (parameterized || other == i) {
				return &Error{Axis: axis, Got: fmt.Sprintf("feature %d, which is in part %d too", feature, other),
					Wanted: "parts that share no feature (a part lists its features; interv.Range(start, end) writes a range)"}
			}
			partOf[feature] = i
		}
	}
	return nil
}

// checkLink refuses to share parameters between interventions that differ.
func (p planned) checkLink(first planned) error {
	if !reflect.DeepEqual(p.Intervention, first.Intervention) || p.width != first.width {
		return &Error{Axis: fmt.Sprintf("link %q", p.Link),
			Got:    fmt.Sprintf("%+v at width %d", p.Intervention, p.width),
			Wanted: fmt.Sprintf("what the link's first representation has, %+v at width %d", first.Intervention, first.width)}
	}
	return nil
}

// title is what results call what representation i collects: its name, or its site, numbered where several that collect have the same.
func (p *plan) title(i int) string {
	r := p.representations[i].Representation
	if r.Name != "" {
		return r.Name
	}
	same := 1
	for _, other := range p.representations[:i] {
		if other.collects && other.Name == "" && other.Site() == r.Site() {
			same++
		}
	}
	if same > 1 {
		return fmt.Sprintf("%s #%d", r.Site(), same)
	}
	return r.Site().String()
}

// checkTitles refuses two things collected that results would call the same.
func (p *plan) checkTitles() error {
	taken := map[string]int{}
	for i, r := range p.representations {
		if !r.collects {
			continue
		}
		first, again := taken[p.title(i)]
		if again {
			return &Error{Where: where(i, r.Representation), Axis: "name", Got: fmt.Sprintf("%q, which is what representation %d is called", p.title(i), first), Wanted: "another"}
		}
		taken[p.title(i)] = i
	}
	return nil
}
