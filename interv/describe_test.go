package interv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// What an Intervenable prints: where it acts, how, and what it owns.
func ExampleIntervenable_String() {
	low := interv.LowRankRotatedSpace{Rank: 2}
	parts := [][]int{interv.Range(0, 1), interv.Range(1, 2)}
	fmt.Println(interv.MustNew(engine, gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 1), interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: gru.CellOutput, Intervention: low, SubspacePartition: parts, Link: "state"},
		{Layer: 1, Component: gru.CellOutput, Intervention: low, SubspacePartition: parts, Link: "state"},
		{Layer: 1, Component: gru.UpdateGateOutput, Intervention: interv.Collect{}, Name: "gate"},
	}}))
	// Output:
	// gru classifier: 3 interventions, parallel
	//      site                        unit  intervention                     parts    link   name  parameters
	//   0  layer 0 cell_output         t     low_rank_rotated_space (rank 2)  [0] [1]  state        rotation [4 2] orthonormal
	//   1  layer 1 cell_output         t     low_rank_rotated_space (rank 2)  [0] [1]  state        those of 0
	//   2  layer 1 update_gate_output  t     collect                                          gate
	// 8 parameters, 8 of them trainable
}

// What a call and its result print: what was asked for, and what came out.
func ExampleCall_String() {
	collected := interv.MustNew(engine, gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 1), interv.Config{Representations: []interv.Representation{
		{Component: gru.CellOutput, Intervention: interv.Vanilla{}},
		{Component: gru.CellOutput, Intervention: interv.Collect{}},
	}})
	call := interv.Call{Base: embeds(random(1, 2, 3, 4)), Sources: []interv.Inputs{embeds(random(2, 2, 5, 4)), nil},
		Locations: []*interv.Location{interv.FromTo([][]int{{4}, {-1}}, interv.Repeat(2, 0)), interv.At(interv.Repeat(2, 1, 2))}, WithBase: true}
	fmt.Println(call)
	fmt.Println(collected.MustRun(call))
	// Output:
	// call: base inputs_embeds (Float32)[2, 3, 4]
	//      location
	//   0  [[4] [-1]] → [[0] [0]]
	//   1  [[1 2] [1 2]]
	// source 0: inputs_embeds (Float32)[2, 5, 4]
	// source 1: none
	// with the base's clean output
	// result
	//                                  shape
	//   output                         (Float32)[2, 2]
	//   base output                    (Float32)[2, 2]
	//   collected layer 0 cell_output  (Float32)[2, 2, 4]
}

func TestTablesAreEscapedHTML(t *testing.T) {
	config := interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput, Intervention: interv.Noise{Level: 0.5}, Name: "<a&b>"}}}
	text := interv.MustNew(engine, gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 1), config).HTML()
	for _, want := range []string{"<table>", "<td>layer 0 cell_output</td>", "<td>noise (level 0.5)</td>", "&lt;a&amp;b&gt;", "noise_level [] fixed"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, wanted %s in it", text, want)
		}
	}
}

func TestLocationsAndUnitsInWords(t *testing.T) {
	both := interv.Repeat(1, 0, 1)
	for want, got := range map[string]fmt.Stringer{
		"left out":                      (*interv.Location)(nil),
		"everywhere":                    interv.Everywhere(),
		"[[0 1]]":                       interv.At(both),
		"heads [[1]] at [[0 1]]":        interv.At(both).Heads(nil, [][]int{{1}}),
		"h.pos, 2 together":             config(interv.HeadPosition, 2, interv.RotatedSpace{}),
		"2 together  rotated_space":     config("", 2, interv.RotatedSpace{}),
		"layer 0 attention_output  pos": config(interv.Position, 2, interv.Vanilla{}), // which takes each on its own
	} {
		if text := got.String(); !strings.Contains(text, want) || strings.Contains(text, "pos, 2 together  vanilla") {
			t.Errorf("got %s, wanted %s", text, want)
		}
	}
}

func config(unit interv.Unit, together int, intervention interv.Intervention) interv.Config {
	return interv.Config{Representations: []interv.Representation{{Component: attends, Unit: unit, MaxUnits: together, Intervention: intervention}}}
}
