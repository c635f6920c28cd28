package transformer_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// refused are configs of a family, each with a field that asks for what is not done, and what the refusal names.
var refused = []struct{ family, text, names string }{
	{"falcon", `{"model_type": "falcon", "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
		"new_decoder_architecture": true, "parallel_attn": false}`, "parallel_attn"},
	{"falcon", `{"model_type": "falcon", "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_ln_in_parallel_attn": 2}`, "num_ln_in_parallel_attn"},
	{"gemma3_text", llamaLike("gemma3_text", `"use_bidirectional_attention": true`), "use_bidirectional_attention"},
	{"gemma3_text", llamaLike("gemma3_text", `"attn_logit_softcapping": 3.0`), "attn_logit_softcapping"},
	{"gpt2", strings.TrimSuffix(tiny["gpt2"], "}") + `, "add_cross_attention": true}`, "add_cross_attention"},
	{"gpt_neo", strings.Replace(tiny["gpt_neo"], "local", "sparse", 1), "attention_types"},
	{"gptj", strings.Replace(tiny["gptj"], "6}", "null}", 1), "Rotary.Width"},
	{"smollm3", llamaLike("smollm3", `"no_rope_layer_interval": 0`), "no_rope_layer_interval"},
}

// docs/families.md says of every family what was tried, which sites there are, and what is refused. With GOVENE_WRITE=1 set it is written,
// else it must be what this test makes of the checkpoints.
func TestTableOfFamilies(t *testing.T) {
	if os.Getenv("GOVENE_GOLDEN") != "" {
		t.Skip("the page tells of the repository's own cases")
	}
	tried, sites := map[string][]string{}, map[string]int{}
	add := func(name, folder string) {
		data, err := os.ReadFile(filepath.Join(folder, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		c := transformer.MustParseConfig(string(data))
		if c.Labels > 0 {
			name += " (a classifier)"
		}
		tried[c.Family] = append(tried[c.Family], name)
		components := map[interv.Component]bool{}
		for _, s := range c.Catalogue().Sites {
			components[s.Component] = true
		}
		sites[c.Family] = max(sites[c.Family], len(components))
	}
	for _, c := range golden.Cases(t, goldenFamilies...) {
		if name := filepath.Base(c.Model.Checkpoint); !slices.Contains(tried[c.Model.Family], name) {
			add(name, filepath.Join("..", "..", "internal", "golden", "testdata", "public", c.Name, c.Model.Checkpoint))
		}
	}
	folders, err := filepath.Glob(filepath.Join("testdata", "transformers", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		add(filepath.Base(folder), folder)
	}
	not := map[string][]string{}
	for _, r := range refused {
		_, err := transformer.ParseConfig([]byte(r.text))
		if err == nil || !strings.Contains(err.Error(), r.names) {
			t.Errorf("%s: got %v, wanted a refusal that names %s", r.family, err, r.names)
			continue
		}
		not[r.family] = append(not[r.family], "`"+strings.TrimPrefix(err.Error(), "config.json: ")+"`")
	}
	var page strings.Builder
	page.WriteString("# Families of transformers\n\nMade by `GOVENE_WRITE=1 go test ./interv/transformer -run TestTableOfFamilies`, which fails when this page is out of date.\n\n" +
		"The checkpoints tried are tiny, 2 layers of width 12 to 24 in most, with random weights; each gives transformers' logits, with padding on\n" +
		"either side. Their folders, in `interv/transformer/testdata/transformers` and among the golden cases, say by config.json what they ask\n" +
		"for; a name that is listed twice is in both. Sites counts the components of a layer and of the model. What no family does: quantized weights, heads other than a language\n" +
		"model's or a classifier's.\n\n| model_type | tried | sites | refused |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(tried)) {
		fmt.Fprintf(&page, "| %s | %s | %d | %s |\n", name, strings.Join(tried[name], ", "), sites[name], strings.Join(not[name], "; "))
	}
	file := filepath.Join("..", "..", "docs", "families.md")
	if os.Getenv("GOVENE_WRITE") != "" {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != page.String() {
		t.Errorf("docs/families.md is not what this test makes of the checkpoints (%v): write it with GOVENE_WRITE=1", err)
	}
}
