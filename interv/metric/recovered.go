package metric

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/interv"
)

// Recovered is what share of the way from a corrupted run to a clean one a metric has been brought back, for each example:
//
//	(x − Corrupted) / (Clean − Corrupted)
//
// with x the metric Of: 0 where a patch does nothing to a corrupted run, 1 where it undoes the corruption. Both ends are the metric's values
// in the two runs, one for each example or one for all, and runtime inputs of the program; [Recovery] measures them. Examples whose
// ends are nearer to each other than 1e-4, or 1e-4 of the larger, are an error: a share of nothing says nothing.
type Recovered struct {
	Of               interv.Metric
	Clean, Corrupted []float64
}

// Name is that of the metric with "recovered " before it.
func (m Recovered) Name() string {
	if m.Of == nil {
		return "recovered"
	}
	return "recovered " + m.Of.Name()
}

// Key is the metric's.
func (m Recovered) Key() string { return fmt.Sprintf("%T %s %s", m.Of, m.Of.Name(), m.Of.Key()) }

// ReadsClean tells whether the metric does.
func (m Recovered) ReadsClean() bool { return interv.ReadsClean(m.Of) }

// Counts tells whether the metric does.
func (m Recovered) Counts() bool {
	counter, ok := m.Of.(interv.Counter)
	return ok && counter.Counts()
}

// ofData is before the names of the metric's data.
const ofData = "of "

// TokenData is the metric's.
func (m Recovered) TokenData() string {
	if name := interv.TokenData(m.Of); name != "" {
		return ofData + name
	}
	return ""
}

// Data are the metric's, and both ends, [batch].
func (m Recovered) Data(batch, logits int) (interv.Inputs, error) {
	if m.Of == nil {
		return nil, &interv.Error{Axis: "metric", Got: "none", Wanted: "one whose share is recovered"}
	}
	of, err := m.Of.Data(batch, logits)
	if err != nil {
		return nil, err
	}
	data := interv.Inputs{}
	for name, t := range of {
		data[ofData+name] = t
	}
	ends := map[string][]float32{}
	for name, values := range map[string][]float64{"clean": m.Clean, "corrupted": m.Corrupted} {
		if len(values) != batch && len(values) != 1 {
			return nil, &interv.Error{Axis: name, Got: fmt.Sprintf("%d values", len(values)), Wanted: fmt.Sprintf("%d, one for each example, or one for all", batch)}
		}
		for i := range batch {
			value := values[i%len(values)]
			if math.IsNaN(value) || math.IsInf(value, 0) {
				return nil, &interv.Error{Axis: fmt.Sprintf("%s value of example %d", name, i), Got: fmt.Sprint(value), Wanted: "a finite number"}
			}
			ends[name] = append(ends[name], float32(value))
		}
	}
	for i := range batch {
		clean, corrupted := float64(ends["clean"][i]), float64(ends["corrupted"][i])
		if math.Abs(clean-corrupted) < 1e-4*max(1, math.Abs(clean), math.Abs(corrupted)) {
			return nil, &interv.Error{Axis: fmt.Sprintf("ends of example %d", i), Got: fmt.Sprintf("%g clean and %g corrupted", clean, corrupted),
				Wanted: "two that differ: there is nothing to recover"}
		}
	}
	for name, flat := range ends {
		data[name] = tensors.FromFlatDataAndDimensions(flat, batch)
	}
	return data, nil
}

// Measure is the share.
func (m Recovered) Measure(r interv.Rows) *Node {
	ends := r.Data
	r.Data = m.data(ends)
	return share(m.Of.Measure(r), ends)
}

// MeasureTokens is the share, from the logits that the metric needs.
func (m Recovered) MeasureTokens(logits *Node, data interv.Nodes) *Node {
	return share(m.Of.(interv.TokenReader).MeasureTokens(logits, m.data(data)), data)
}

// data are the metric's own.
func (m Recovered) data(all interv.Nodes) interv.Nodes {
	of := interv.Nodes{}
	for name, node := range all {
		if plain, ok := strings.CutPrefix(name, ofData); ok {
			of[plain] = node
		}
	}
	return of
}

func share(value *Node, ends interv.Nodes) *Node {
	if value.Rank() != 1 {
		panic(&interv.Error{Axis: "metric whose share is recovered", Got: value.Shape().String(), Wanted: "one number for each row"})
	}
	clean, corrupted := ConvertDType(ends["clean"], value.DType()), ConvertDType(ends["corrupted"], value.DType())
	return Div(Sub(value, corrupted), Sub(clean, corrupted))
}

// Recovery measures both ends and returns the measure of the recovered share, with the ends as its Clean and Corrupted. The model runs
// without interventions on inputs of one batch size, of which the measure is read at the same places.
func Recovery(iv *interv.Intervenable, m interv.Measure, clean, corrupted interv.Inputs) (interv.Measure, error) {
	recovered := Recovered{Of: m.Metric}
	for end, inputs := range map[*[]float64]interv.Inputs{&recovered.Clean: clean, &recovered.Corrupted: corrupted} {
		result, err := iv.Measure(inputs, m)
		if err != nil {
			return m, err
		}
		*end = host.Floats(result.Metrics[0].Value)
	}
	m.Metric = recovered
	return m, nil
}

// MustRecovery is Recovery that panics on an error.
func MustRecovery(iv *interv.Intervenable, m interv.Measure, clean, corrupted interv.Inputs) interv.Measure {
	return must.Of(Recovery(iv, m, clean, corrupted))
}

// recoveredJSON is the form of a Recovered in files.
type recoveredJSON struct {
	Of        json.RawMessage `json:"of"`
	Clean     []float64       `json:"clean"`
	Corrupted []float64       `json:"corrupted"`
}

// MarshalJSON writes the metric and both ends.
func (m Recovered) MarshalJSON() ([]byte, error) {
	of, err := interv.MarshalMetric(m.Of)
	if err != nil {
		return nil, err
	}
	return json.Marshal(recoveredJSON{of, m.Clean, m.Corrupted})
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown field or metric is an error.
func (m *Recovered) UnmarshalJSON(text []byte) error {
	var file recoveredJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return err
	}
	if len(file.Of) == 0 {
		return &interv.Error{Axis: "of", Got: "none", Wanted: "a metric"}
	}
	of, err := interv.UnmarshalMetric(file.Of)
	*m = Recovered{of, file.Clean, file.Corrupted}
	return err
}

func init() { interv.RegisterMetric("recovered", Recovered{}) }
