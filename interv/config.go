package interv

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/govene/govene/internal/strict"
)

// Config says where interventions go in a model and what they are. It is plain data: with a JSON form, without weights.
//
// Interventions compound in network order; at one site in the order of Representations, the later seeing the earlier's edit.
type Config struct {
	Representations []Representation `json:"representations"`

	// Mode says how runs feed each other; empty for [Parallel].
	Mode Mode `json:"mode,omitempty"`

	// Seed is where the initial values of parameters are drawn from; the same seed gives the same bits.
	Seed uint64 `json:"seed"`
}

// clone is a config that shares no list with c, which may then change.
func (c Config) clone() Config {
	c.Representations = slices.Clone(c.Representations)
	for i, r := range c.Representations {
		if r.SubspacePartition != nil {
			c.Representations[i].SubspacePartition = cloneRows(r.SubspacePartition)
		}
	}
	return c
}

// ParseConfig reads a config's JSON; an unknown field, intervention or setting is an error.
func ParseConfig(text []byte) (Config, error) {
	var c Config
	if err := strict.Unmarshal(text, &c); err != nil {
		return Config{}, Within("config", err)
	}
	return c, nil
}

// Mode says how the runs of a call feed each other.
type Mode string

// The modes.
const (
	// Parallel runs every source clean; all edits act in one run of the base.
	Parallel Mode = "parallel"

	// Serial is a chain: the first group reads the first source's run and edits the run of the second source; the second group reads
	// that edited run and edits the next; the last edits the base. Base locations are those of the run that is edited.
	Serial Mode = "serial"
)

// Representation is one place in the model and the intervention on it.
type Representation struct {
	// Name is what the result of a [Collect] is found by, and what messages say; empty for the site's.
	Name string

	Layer     int
	Component Component
	Unit      Unit // what locations count; empty for the component's default

	// MaxUnits above 1 makes an intervention with parameters take that many units together, as one vector of MaxUnits · width, the
	// first unit's features first; a call then locates exactly as many in each example, or none. 0 and 1 mean each unit on its own, as
	// interventions without parameters always take them.
	MaxUnits int

	Intervention Intervention

	// SubspacePartition groups the intervention's features into parts, lists of feature numbers; the ids in a call's subspaces then name
	// parts. Range writes a part of consecutive features. Parts may overlap where the intervention has no parameters.
	SubspacePartition [][]int

	// Link makes this representation share its parameters, and nothing else, with all others of the same non-empty link.
	Link string

	// Group makes this representation read the same source as all others of the same non-empty group. One without is a group of its
	// own. Groups count in the order in which they first appear; a call's Sources belong to them.
	Group string
}

// Single is the config of one intervention, on a component of a layer.
func Single(layer int, component Component, intervention Intervention) Config {
	return Config{Representations: []Representation{{Layer: layer, Component: component, Intervention: intervention}}}
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

// representationJSON is the form of a representation in files, under pyvene's names.
type representationJSON struct {
	Name      string    `json:"name,omitempty"`
	Layer     int       `json:"layer"`
	Component Component `json:"component"`
	Unit      Unit      `json:"unit,omitempty"`
	MaxUnits  int       `json:"max_number_of_units,omitempty"`
	interventionJSON
	SubspacePartition [][]int `json:"subspace_partition,omitempty"`
	Link              string  `json:"intervention_link_key,omitempty"`
	Group             string  `json:"group_key,omitempty"`
}

// interventionJSON is the form of an intervention in files: the name it is registered by, and its settings.
type interventionJSON struct {
	Type     string          `json:"intervention_type"`
	Settings json.RawMessage `json:"settings,omitempty"`
}

// MarshalJSON writes the representation, or says that its intervention cannot be saved.
func (r Representation) MarshalJSON() ([]byte, error) {
	intervention, err := marshalIntervention(r.Intervention)
	if err != nil {
		return nil, Within(r.Site().String(), err)
	}
	return json.Marshal(representationJSON{r.Name, r.Layer, r.Component, r.Unit, r.MaxUnits, intervention, r.SubspacePartition, r.Link, r.Group})
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown field or intervention is an error.
func (r *Representation) UnmarshalJSON(data []byte) error {
	var file representationJSON
	if err := strict.Unmarshal(data, &file); err != nil {
		return err
	}
	intervention, err := file.intervention()
	if err != nil {
		return Within(Site{file.Layer, file.Component}.String(), err)
	}
	*r = Representation{file.Name, file.Layer, file.Component, file.Unit, file.MaxUnits, intervention, file.SubspacePartition, file.Link, file.Group}
	return nil
}

// MarshalIntervention writes an intervention as JSON, by the name it is registered by, or says that it cannot be saved.
func MarshalIntervention(i Intervention) ([]byte, error) {
	file, err := marshalIntervention(i)
	if err != nil {
		return nil, err
	}
	return json.Marshal(file)
}

// UnmarshalIntervention reads what MarshalIntervention wrote; an unknown field or intervention is an error.
func UnmarshalIntervention(text []byte) (Intervention, error) {
	var file interventionJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	return file.intervention()
}

func marshalIntervention(i Intervention) (interventionJSON, error) {
	if i == nil {
		return interventionJSON{}, &Error{Axis: "intervention", Got: "none", Wanted: "one"}
	}
	name := i.Name()
	if registered, ok := registry[name]; !ok || registered != reflect.TypeOf(i) {
		return interventionJSON{}, &Error{Axis: "saving intervention " + name, Got: fmt.Sprintf("%T, which no file can hold", i),
			Wanted: "a type given to interv.Register (a Go function cannot be saved: declare a type with its Apply method)"}
	}
	settings, err := json.Marshal(i)
	if err != nil {
		return interventionJSON{}, err
	}
	if string(settings) == "{}" {
		settings = nil
	}
	return interventionJSON{name, settings}, nil
}

// intervention makes the intervention that the file names.
func (file interventionJSON) intervention() (Intervention, error) {
	kind, ok := registry[file.Type]
	if !ok {
		return nil, UnknownName("", "intervention_type", file.Type, sortedKeys(registry))
	}
	settings := file.Settings
	if len(settings) == 0 {
		settings = json.RawMessage("{}") // for the type to say what it cannot do without
	}
	value := reflect.New(kind)
	if err := strict.Unmarshal(settings, value.Interface()); err != nil {
		return nil, Within(file.Type, err)
	}
	return value.Elem().Interface().(Intervention), nil
}
