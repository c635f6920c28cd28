// Package golden reads the golden cases that interventions are tested against. A case is a folder with case.json and
// tensors.safetensors; testdata/README.md has the format. Tests are driven by the folder alone: GOVENE_GOLDEN names another.
package golden

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/safetensors"
	"github.com/govene/govene/internal/strict"
)

// Case is one golden case. Strings in Params, Inputs and Expected name tensors of the case's file.
type Case struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Model       struct {
		Family     string          `json:"family"`
		Config     json.RawMessage `json:"config"`
		Checkpoint string          `json:"checkpoint"`
	} `json:"model"`
	Mode          string         `json:"mode"`
	Interventions []Intervention `json:"interventions"`
	Inputs        struct {
		Base    map[string]string   `json:"base"`
		Sources []map[string]string `json:"sources"`
	} `json:"inputs"`
	Locations  []*Location `json:"locations"`
	Subspaces  [][][]int   `json:"subspaces"`
	Loss       *string     `json:"loss"`
	Generation *struct {
		MaxNewTokens int    `json:"max_new_tokens"`
		Intervene    string `json:"intervene"`
	} `json:"generation"`
	Expected struct {
		BaseOutput       string            `json:"base_output"`
		Output           string            `json:"output"`
		Collected        []string          `json:"collected"`
		Gradients        map[string]string `json:"gradients"`
		TangentGradients map[string]string `json:"tangent_gradients"`
		CompareMask      string            `json:"compare_mask"`
		BaseTokenIDs     string            `json:"base_token_ids"`
		TokenIDs         string            `json:"token_ids"`
		BaseStepLogits   string            `json:"base_step_logits"`
		StepLogits       string            `json:"step_logits"`
	} `json:"expected"`
	Tolerance struct {
		RTol float64 `json:"rtol"`
		ATol float64 `json:"atol"`
	} `json:"tolerance"`
	Rows json.RawMessage `json:"rows"` // of causal cases

	// Seen takes the tensors that a run computes and that are compared, under the names of those expected, where it is not nil.
	Seen map[string]*tensors.Tensor `json:"-"`

	folder string
	file   *safetensors.File
}

// Intervention is one intervention of a case.
type Intervention struct {
	Type              string            `json:"type"`
	Layer             int               `json:"layer"`
	Component         string            `json:"component"`
	Unit              string            `json:"unit"`
	Rank              *int              `json:"rank"`
	SubspacePartition [][]int           `json:"subspace_partition"`
	Link              *int              `json:"link"`
	Group             *int              `json:"group"`
	FlattenUnits      bool              `json:"flatten_units"`
	Params            map[string]string `json:"params"`
}

// Location is where an intervention reads and writes: JSON, as its form depends on the unit.
type Location struct {
	Source json.RawMessage `json:"source"`
	Base   json.RawMessage `json:"base"`
}

// Parts is the subspace partition with every part as a list of features: in a case, two integers are a range.
func (i Intervention) Parts() [][]int {
	parts := slices.Clone(i.SubspacePartition)
	for k, part := range parts {
		if len(part) == 2 {
			parts[k] = nil
			for feature := part[0]; feature < part[1]; feature++ {
				parts[k] = append(parts[k], feature)
			}
		}
	}
	return parts
}

// Load reads a case folder.
func Load(dir string) (*Case, error) {
	data, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		return nil, err
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	c.folder = dir
	if c.Mode == "causal" {
		return c, nil
	}
	c.file, err = safetensors.Read(filepath.Join(dir, "tensors.safetensors"))
	return c, err
}

// parse reads case.json; a field that it does not know is an error, so that none is ignored.
func parse(data []byte) (*Case, error) {
	var c Case
	if err := strict.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// Cases loads the cases of some families from the folder that GOVENE_GOLDEN names, or from the repository's copy. A folder
// without any fails the test.
func Cases(t testing.TB, families ...string) []*Case {
	t.Helper()
	root := os.Getenv("GOVENE_GOLDEN")
	if root == "" {
		_, source, _, _ := runtime.Caller(0)
		root = filepath.Join(filepath.Dir(source), "testdata", "public")
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []*Case
	for _, file := range files {
		head, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var family struct {
			Model struct{ Family string }
		}
		if err := json.Unmarshal(head, &family); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !slices.Contains(families, family.Model.Family) {
			continue
		}
		c, err := Load(filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		t.Fatalf("%s: no cases of %s", root, strings.Join(families, ", "))
	}
	return cases
}

// CheckpointFolder is where the checkpoint of the case's model is.
func (c *Case) CheckpointFolder() string { return filepath.Join(c.folder, c.Model.Checkpoint) }

// Tensor is a tensor of the case's file.
func (c *Case) Tensor(name string) (safetensors.Tensor, error) {
	if t, ok := c.file.Find(name); ok {
		return t, nil
	}
	return safetensors.Tensor{}, fmt.Errorf("%s: no tensor %q", c.Name, name)
}

// Names lists the file's tensors whose names start with a prefix.
func (c *Case) Names(prefix string) (names []string) {
	for _, t := range c.file.Tensors {
		if strings.HasPrefix(t.Name, prefix) {
			names = append(names, t.Name)
		}
	}
	return names
}

// Compare checks got against the expected tensor want: |got − want| ≤ atol + rtol·max|scale|, with scale the expected tensor
// whose size bounds the error; "" means want itself.
func (c *Case) Compare(got []float64, shape []int, want, scale string) error {
	expected, err := c.Tensor(want)
	if err != nil {
		return err
	}
	values, err := expected.Float64s()
	if err != nil {
		return err
	}
	if !slices.Equal(shape, expected.Shape) {
		return fmt.Errorf("%s: got shape %v, wanted %v", want, shape, expected.Shape)
	}
	bounding := values
	if scale != "" {
		t, err := c.Tensor(scale)
		if err != nil {
			return err
		}
		if bounding, err = t.Float64s(); err != nil {
			return err
		}
	}
	largest := 0.0
	for _, value := range bounding {
		largest = max(largest, math.Abs(value))
	}
	bound := c.Tolerance.ATol + c.Tolerance.RTol*largest
	for i, value := range values {
		if !(math.Abs(got[i]-value) <= bound) {
			return fmt.Errorf("%s: element %d of %v: got %g, wanted %g within %g", want, i, shape, got[i], value, bound)
		}
	}
	return nil
}
