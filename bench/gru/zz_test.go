package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

func TestZZ(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	engine := backend.MustNew()
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	vanilla := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: gru.CellOutput, Unit: interv.Step, MaxUnits: 1, Intervention: interv.Vanilla{}}}})
	base, source := uniform(1, 10, 10, 2), uniform(2, 10, 10, 2)
	call := func(with bool) interv.Call {
		return interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{interv.FromTo(interv.Repeat(10, 0, 2, 4), interv.Repeat(10, 0, 5, 7))}, WithBase: with}
	}
	report := func(name string, f func()) {
		for range 300 {
			f()
		}
		var times []time.Duration
		for range 3000 {
			s := time.Now()
			f()
			times = append(times, time.Since(s))
		}
		slices.Sort(times)
		fmt.Printf("%-28s median %v  fastest %v\n", name, times[1500], times[0])
	}
	report("run, with base", func() { vanilla.MustRun(call(true)) })
	report("run", func() { vanilla.MustRun(call(false)) })
	p := vanilla.MustPrepare(call(true))
	report("prepared, with base", func() { p.MustRun() })
	q := vanilla.MustPrepare(call(false))
	report("prepared", func() { q.MustRun() })
	report("forward", func() { vanilla.MustForward(base) })
	plain := interv.MustNew(engine, model, interv.Config{})
	r := plain.MustPrepare(interv.Call{Base: base})
	report("forward prepared", func() { r.MustRun() })
	b20 := uniform(1, 20, 10, 2)
	r20 := plain.MustPrepare(interv.Call{Base: b20})
	report("forward prepared, 20", func() { r20.MustRun() })
	report("prepare alone", func() { vanilla.MustPrepare(call(true)) })
}
