package interv

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/internal/strict"
)

// Constant gives an intervention a source of its own, which is saved with it: a vector [width], the same for every unit and example.
// Constant{Of: Addition{}} is a steering vector. It starts at 0 and is set by SetParameters under the name "constant", or trained.
//
// A source that changes from call to call, or from unit to unit, is Call.Activations instead.
type Constant struct {
	Of        Intervention // one that reads a source
	Trainable bool
}

const constant = "constant"

// Name is "constant".
func (Constant) Name() string { return constant }

// Sourceless says that Constant reads no source.
func (Constant) Sourceless() {}

// Features are those of the intervention it is made of.
func (c Constant) Features(width int) int {
	if subspaced, ok := c.Of.(Subspaced); ok {
		return subspaced.Features(width)
	}
	return 0
}

// Parameters are the constant and the parameters of the intervention it is made of, which must read a source.
func (c Constant) Parameters(width int, random *rand.Rand) ([]Owned, error) {
	if err := checkIntervention(c.Of); err != nil {
		return nil, Within(constant, err)
	}
	_, sourceless := c.Of.(Sourceless)
	_, readsInput := c.Of.(InputReader)
	_, draws := c.Of.(Drawer)
	if sourceless || readsInput || draws {
		return nil, &Error{Axis: constant, Got: c.Of.Name(), Wanted: "an intervention that reads a source"}
	}
	owned := []Owned{{constant, Fixed, filled(0, width)}}
	if c.Trainable {
		owned[0].Kind = Free
	}
	parameterized, ok := c.Of.(Parameterized)
	if !ok {
		return owned, nil
	}
	more, err := parameterized.Parameters(width, random)
	for _, parameter := range more {
		if parameter.Name == constant {
			return nil, &Error{Axis: constant, Got: fmt.Sprintf("%s, which has a parameter of that name", c.Of.Name()), Wanted: "one that has none"}
		}
	}
	return append(owned, more...), err
}

// Apply builds the intervention with the constant as its source.
func (c Constant) Apply(v Values) *Node {
	v.Source = BroadcastToShape(ExpandLeftToRank(v.Parameters[constant], v.Base.Rank()), v.Base.Shape())
	return c.Of.Apply(v)
}

// constantJSON is the form of a Constant in files.
type constantJSON struct {
	interventionJSON
	Trainable bool `json:"trainable,omitempty"`
}

// MarshalJSON writes the constant's settings, or says that the intervention it is made of cannot be saved.
func (c Constant) MarshalJSON() ([]byte, error) {
	of, err := marshalIntervention(c.Of)
	if err != nil {
		return nil, err
	}
	return json.Marshal(constantJSON{of, c.Trainable})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Constant) UnmarshalJSON(data []byte) error {
	var file constantJSON
	if err := strict.Unmarshal(data, &file); err != nil {
		return err
	}
	of, err := file.intervention()
	*c = Constant{of, file.Trainable}
	return err
}

func init() { Register(Constant{}) }
