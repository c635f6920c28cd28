package interv

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/govene/govene/internal/strict"
)

// metricRegistry holds the metrics that JSON can name.
var metricRegistry = map[string]reflect.Type{}

// RegisterMetric makes a type of metric known to JSON, by a name: a struct whose exported fields are its settings. To be called from an
// init function of the package that declares the type; a name that is taken panics.
func RegisterMetric(name string, prototype Metric) {
	if _, taken := metricRegistry[name]; taken {
		panic("interv.RegisterMetric: metric " + name + " is already registered")
	}
	metricRegistry[name] = reflect.TypeOf(prototype)
}

// metricJSON is the form of a metric in files: the name it is registered by, and its settings.
type metricJSON struct {
	Type     string          `json:"metric"`
	Settings json.RawMessage `json:"settings,omitempty"`
}

// measureJSON is the form of a measure in files.
type measureJSON struct {
	Name string `json:"name,omitempty"`
	metricJSON
	At [][]int `json:"at,omitempty"`
}

// MarshalMetric writes a metric as JSON, or says that it cannot be saved.
func MarshalMetric(m Metric) ([]byte, error) {
	file, err := metricToJSON(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(file)
}

// UnmarshalMetric reads what MarshalMetric wrote; an unknown field or metric is an error.
func UnmarshalMetric(text []byte) (Metric, error) {
	var file metricJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	return file.read()
}

func metricToJSON(m Metric) (metricJSON, error) {
	if m == nil {
		return metricJSON{}, &Error{Axis: "metric", Got: "none", Wanted: "one"}
	}
	for _, name := range sortedKeys(metricRegistry) {
		if metricRegistry[name] != reflect.TypeOf(m) {
			continue
		}
		settings, err := json.Marshal(m)
		if string(settings) == "{}" {
			settings = nil
		}
		return metricJSON{name, settings}, err
	}
	return metricJSON{}, &Error{Axis: "saving metric " + m.Name(), Got: fmt.Sprintf("%T, which no file can hold", m),
		Wanted: "a type given to interv.RegisterMetric (a Go function cannot be saved: declare a type)"}
}

func (file metricJSON) read() (Metric, error) {
	kind, ok := metricRegistry[file.Type]
	if !ok {
		return nil, UnknownName("", "metric", file.Type, sortedKeys(metricRegistry))
	}
	settings := file.Settings
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	value := reflect.New(kind)
	if err := strict.Unmarshal(settings, value.Interface()); err != nil {
		return nil, Within(file.Type, err)
	}
	return value.Elem().Interface().(Metric), nil
}

// MarshalJSON writes the measure, or says that its metric cannot be saved.
func (m Measure) MarshalJSON() ([]byte, error) {
	metric, err := metricToJSON(m.Metric)
	if err != nil {
		return nil, err
	}
	return json.Marshal(measureJSON{m.Name, metric, m.At})
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown field or metric is an error.
func (m *Measure) UnmarshalJSON(text []byte) error {
	var file measureJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return err
	}
	metric, err := file.read()
	if err != nil {
		return err
	}
	*m = Measure{file.Name, metric, file.At}
	return nil
}
