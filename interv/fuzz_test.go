package interv_test

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
)

// manyLatents finds autoencoders from 10,000 latents up to where New refuses them: these take time and memory, but nothing is wrong.
var manyLatents = regexp.MustCompile(`"latents":[0-9]{5,10}\b`)

// FuzzConfig: what is read as a config is written and read back the same, prints, and is taken or refused by New, without a panic.
func FuzzConfig(f *testing.F) {
	low := interv.Representation{Component: attends, MaxUnits: 2, Link: "a", Group: "b", Name: "c", SubspacePartition: [][]int{{0, 2}, interv.Range(1, 2)},
		Intervention: interv.LowRankRotatedSpace{Rank: 3}}
	for _, r := range []interv.Representation{
		low, {Layer: 1, Component: mlpOutput, Intervention: interv.Skip{}}, {Component: attends, Intervention: Gate{Start: 1}},
		{Component: headMixed, Unit: interv.HeadPosition, Intervention: interv.Noise{Level: 0.5, Seed: 3}},
		{Component: attends, Intervention: interv.Constant{Of: interv.Autoencoder{Latents: 4, KeepError: true}, Trainable: true}},
		{Component: attends, Intervention: interv.JumpReLUAutoencoder{Latents: -1}},
	} {
		text, err := json.Marshal(interv.Config{Mode: interv.Serial, Seed: 7, Representations: []interv.Representation{r, low}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	model := newAttention(2, 4, 2, 3, dtypes.Float32, 1)
	f.Fuzz(func(t *testing.T, data []byte) {
		var config interv.Config
		if json.Unmarshal(data, &config) != nil {
			return
		}
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatalf("read %s, but cannot write it: %v", data, err)
		}
		var again interv.Config
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("wrote %s, but cannot read it: %v", text, err)
		}
		if back, err := json.Marshal(again); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("got %s (%v), wanted %s", back, err, text)
		}
		if config.String() != again.String() || config.HTML() != again.HTML() {
			t.Fatalf("got %s, wanted %s", again, config)
		}
		if manyLatents.Match(text) {
			return
		}
		if iv, err := interv.New(engine, model, config); err == nil {
			_ = iv.String()
		}
	})
}

// places is what FuzzPlaces reads: what a call says about one representation.
type places struct {
	Location  *interv.Location
	Subspaces [][]int
}

// FuzzPlaces: any location and subspaces are taken or refused without a panic, and what is taken gives numbers.
func FuzzPlaces(f *testing.F) {
	for _, p := range []places{
		{Location: interv.FromTo([][]int{{0, 1}, {}}, [][]int{{-1, 0}, {}}), Subspaces: [][]int{{0}, {2, 1}}},
		{Location: interv.FromTo([][]int{{2}, {1}}, [][]int{{0}, {-2}}).Heads([][]int{{0, 1}, {1, 1}}, [][]int{{1, 0}, {0, 1}})},
		{Location: interv.Everywhere(), Subspaces: interv.Repeat(2, 1)},
		{},
	} {
		text, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	model := newAttention(1, 3, 2, 3, dtypes.Float32, 1)
	var ivs []*interv.Intervenable
	for _, r := range []interv.Representation{
		{Component: headMixed, Unit: interv.HeadPosition, Intervention: interv.Collect{}},
		{Component: attends, Intervention: interv.Vanilla{}},
		{Component: attends, Intervention: interv.LowRankRotatedSpace{Rank: 3}, MaxUnits: 2},
		{Component: headMixed, Unit: interv.Head, Intervention: interv.Vanilla{}},
		{Component: headMixed, Unit: interv.HeadPosition, Intervention: interv.Addition{}, SubspacePartition: [][]int{{0, 2}, {1}}},
	} {
		ivs = append(ivs, interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{r}}))
	}
	base, source := embeds(random(1, 2, 3, 3)), embeds(random(2, 2, 3, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p, again places
		if json.Unmarshal(data, &p) != nil {
			return
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("wrote %s, but cannot read it: %v", text, err)
		}
		if back, err := json.Marshal(again); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("got %s (%v), wanted %s", back, err, text)
		}
		for i, iv := range ivs {
			call := interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{p.Location}, Subspaces: [][][]int{p.Subspaces}}
			if i == 0 { // it reads no source
				call.Sources = nil
			}
			result, err := iv.Run(call)
			if err != nil {
				wanted.Refusal(t, err)
				continue
			}
			for _, value := range flat(result.Output) {
				if math.IsNaN(float64(value)) || math.IsInf(float64(value), 0) {
					t.Fatalf("%s gives %g", text, value)
				}
			}
		}
	})
}
