package sweep

import (
	"encoding/json"

	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/interv"
)

// plain is a Sweep without its methods.
type plain Sweep

// sweepJSON is the form of a sweep in files.
type sweepJSON struct {
	plain
	Intervention json.RawMessage `json:"intervention,omitempty"`
	Metric       json.RawMessage `json:"metric"`
}

// MarshalJSON writes all but the inputs and parameters, or says that the intervention or the metric cannot be saved.
func (s Sweep) MarshalJSON() ([]byte, error) {
	file := sweepJSON{plain: plain(s)}
	var err error
	if s.Intervention != nil {
		if file.Intervention, err = interv.MarshalIntervention(s.Intervention); err != nil {
			return nil, interv.Within("sweep", err)
		}
	}
	if file.Metric, err = interv.MarshalMetric(s.Metric); err != nil {
		return nil, interv.Within("sweep", err)
	}
	return json.Marshal(file)
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown field, intervention or metric is an error.
func (s *Sweep) UnmarshalJSON(text []byte) error {
	var file sweepJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return interv.Within("sweep", err)
	}
	read := Sweep(file.plain)
	var err error
	if len(file.Intervention) > 0 {
		if read.Intervention, err = interv.UnmarshalIntervention(file.Intervention); err != nil {
			return interv.Within("sweep", err)
		}
	}
	if len(file.Metric) > 0 {
		if read.Metric, err = interv.UnmarshalMetric(file.Metric); err != nil {
			return interv.Within("sweep", err)
		}
	}
	*s = read
	return nil
}

// plainCorruption is a Corruption without its methods.
type plainCorruption Corruption

type corruptionJSON struct {
	plainCorruption
	Intervention json.RawMessage `json:"intervention"`
}

// MarshalJSON writes the corruption, or says that its intervention cannot be saved.
func (c Corruption) MarshalJSON() ([]byte, error) {
	intervention, err := interv.MarshalIntervention(c.Intervention)
	if err != nil {
		return nil, interv.Within("corruption", err)
	}
	return json.Marshal(corruptionJSON{plainCorruption(c), intervention})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Corruption) UnmarshalJSON(text []byte) error {
	var file corruptionJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return interv.Within("corruption", err)
	}
	intervention, err := interv.UnmarshalIntervention(file.Intervention)
	if err != nil {
		return interv.Within("corruption", err)
	}
	*c = Corruption(file.plainCorruption)
	c.Intervention = intervention
	return nil
}
