package golden

import "testing"

func TestCompareRefusesAChangedNumber(t *testing.T) {
	c := Cases(t, "gru_classifier")[0]
	want, err := c.Tensor(c.Expected.Output)
	if err != nil {
		t.Fatal(err)
	}
	values, err := want.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Compare(values, want.Shape, c.Expected.Output, ""); err != nil {
		t.Errorf("its own numbers: %v", err)
	}
	if err := c.Compare(values, []int{len(values)}, c.Expected.Output, ""); err == nil {
		t.Error("another shape passed")
	}
	values[len(values)-1] += 0.01
	if err := c.Compare(values, want.Shape, c.Expected.Output, ""); err == nil {
		t.Error("a changed number passed")
	}
}

func TestEveryCaseIsRead(t *testing.T) {
	families := []string{"gru_classifier", "mlp_classifier", "causal", "gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma2",
		"gemma3_text", "gpt_neox", "phi3", "olmo2", "gpt_oss"}
	for _, c := range Cases(t, families...) {
		if c.Mode != "causal" && len(c.file.Tensors) == 0 {
			t.Errorf("%s: no tensors", c.Name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"name": "x", "locations": [{"source": null, "base": [[1]]}, null], "subspaces": [null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err == nil && c == nil {
			t.Fatal("no case and no error")
		}
	})
}
