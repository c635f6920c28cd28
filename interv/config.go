package interv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// Config says where interventions go in a model and what they are. It is plain data: with a JSON form, without weights.
//
// Interventions compound in network order; at one site in the order of Representations, the later seeing the earlier's edit.
type Config struct {
	Representations []Representation `json:"representations"`

	// Seed is where the initial values of parameters are drawn from; the same seed gives the same bits.
	Seed uint64 `json:"seed"`
}

// Representation is one place in the model and the intervention on it.
type Representation struct {
	Layer     int
	Component Component
	Unit      Unit // what locations count; empty for the component's default

	// MaxUnits is how many units the intervention takes together, as one vector; 0 and 1 mean each unit on its own. A call may
	// locate any number of units. Only a rotation can tell the difference, and so far each rotation takes its units one by one.
	MaxUnits int

	Intervention Intervention

	// SubspacePartition groups the intervention's features into parts, disjoint lists of feature numbers; the ids in a call's
	// subspaces then name parts. Range writes a part of consecutive features.
	SubspacePartition [][]int

	// Link makes this representation share its parameters, and nothing else, with all others of the same non-empty link.
	Link string
}

// Site is the place in the model.
func (r Representation) Site() Site { return Site{r.Layer, r.Component} }

// Range is the part [start, end) of a partition: features start to end-1.
func Range(start, end int) []int {
	part := make([]int, 0, max(0, end-start))
	for feature := start; feature < end; feature++ {
		part = append(part, feature)
	}
	return part
}

// plan is a config that has been checked against a catalogue: one entry a representation.
type plan []planned

type planned struct {
	Representation
	sites    Sites
	features int // what a subspace selects from; 0 if the intervention takes no subspace
	collects bool
	owner    int // the representation whose parameters this one uses: itself, or the first of its link
}

// where is what messages call representation i.
func where(i int, site Site) string { return fmt.Sprintf("representation %d (%s)", i, site) }

// check validates the config against what the model has, without any weights.
func (c Config) check(catalogue Catalogue) (plan, error) {
	checked := make(plan, len(c.Representations))
	owners := map[string]int{}
	for i, representation := range c.Representations {
		p, err := representation.check(catalogue)
		if err != nil {
			return nil, Within(where(i, representation.Site()), err)
		}
		p.owner = i
		if first, linked := owners[p.Link]; p.Link != "" && linked {
			p.owner = first
			if err := p.checkLink(checked[first]); err != nil {
				return nil, Within(where(i, representation.Site()), err)
			}
		} else if p.Link != "" {
			owners[p.Link] = i
		}
		checked[i] = p
	}
	return checked, nil
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
	if r.Intervention == nil {
		return planned{}, &Error{Axis: "intervention", Got: "none", Wanted: "one, such as interv.Vanilla{}"}
	}
	p := planned{Representation: r, sites: sites}
	_, p.collects = r.Intervention.(Collect)
	if subspaced, ok := r.Intervention.(Subspaced); ok {
		p.features = subspaced.Features(sites.Width)
	}
	if _, parameterized := r.Intervention.(Parameterized); r.MaxUnits < 0 || r.MaxUnits > 1 && parameterized {
		return planned{}, &Error{Axis: "max units", Got: fmt.Sprint(r.MaxUnits),
			Wanted: fmt.Sprintf("0 or 1: %s takes each unit on its own", r.Intervention.Name())}
	}
	return p, p.checkPartition()
}

// checkPartition refuses parts that share a feature or name one that does not exist.
func (p planned) checkPartition() error {
	if len(p.SubspacePartition) > 0 && p.features == 0 {
		return &Error{Axis: "subspace partition", Got: fmt.Sprintf("%d parts", len(p.SubspacePartition)),
			Wanted: fmt.Sprintf("none: %s takes no subspace", p.Intervention.Name())}
	}
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
			if other, taken := partOf[feature]; taken {
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
	if !reflect.DeepEqual(p.Intervention, first.Intervention) || p.sites.Width != first.sites.Width {
		return &Error{Axis: fmt.Sprintf("link %q", p.Link),
			Got:    fmt.Sprintf("%+v at width %d", p.Intervention, p.sites.Width),
			Wanted: fmt.Sprintf("what the link's first representation has, %+v at width %d", first.Intervention, first.sites.Width)}
	}
	return nil
}

// representationJSON is the form of a representation in files, under pyvene's names.
type representationJSON struct {
	Layer             int             `json:"layer"`
	Component         Component       `json:"component"`
	Unit              Unit            `json:"unit,omitempty"`
	MaxUnits          int             `json:"max_number_of_units,omitempty"`
	Intervention      string          `json:"intervention_type"`
	Settings          json.RawMessage `json:"settings,omitempty"`
	SubspacePartition [][]int         `json:"subspace_partition,omitempty"`
	Link              string          `json:"intervention_link_key,omitempty"`
}

// MarshalJSON writes the representation, or says that its intervention cannot be saved.
func (r Representation) MarshalJSON() ([]byte, error) {
	if r.Intervention == nil {
		return nil, &Error{Where: where(0, r.Site()), Axis: "intervention", Got: "none", Wanted: "one"}
	}
	name := r.Intervention.Name()
	if registered, ok := registry[name]; !ok || registered != reflect.TypeOf(r.Intervention) {
		return nil, &Error{Where: r.Site().String(), Axis: "saving intervention " + name,
			Got:    fmt.Sprintf("%T, which no file can hold", r.Intervention),
			Wanted: "a type given to interv.Register (a Go function cannot be saved: declare a type with its Apply method)"}
	}
	settings, err := json.Marshal(r.Intervention)
	if err != nil {
		return nil, err
	}
	if string(settings) == "{}" {
		settings = nil
	}
	return json.Marshal(representationJSON{r.Layer, r.Component, r.Unit, r.MaxUnits, name, settings, r.SubspacePartition, r.Link})
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown field or intervention is an error.
func (r *Representation) UnmarshalJSON(data []byte) error {
	var file representationJSON
	if err := decodeStrictly(data, &file); err != nil {
		return err
	}
	kind, ok := registry[file.Intervention]
	if !ok {
		return UnknownName(Site{file.Layer, file.Component}.String(), "intervention_type", file.Intervention, sortedKeys(registry))
	}
	intervention := reflect.New(kind)
	if len(file.Settings) > 0 {
		if err := decodeStrictly(file.Settings, intervention.Interface()); err != nil {
			return Within(file.Intervention, err)
		}
	}
	*r = Representation{file.Layer, file.Component, file.Unit, file.MaxUnits, intervention.Elem().Interface().(Intervention),
		file.SubspacePartition, file.Link}
	return nil
}

// decodeStrictly refuses fields that value does not have, and anything after the first JSON value.
func decodeStrictly(data []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return err
	}
	if decoder.More() {
		return fmt.Errorf("json: text after the value")
	}
	return nil
}
