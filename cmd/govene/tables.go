package main

import (
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/govene/govene/internal/whole"
	"github.com/govene/govene/interv/sweep"
)

// tables are the files that a sweep's result is written to besides its own.
type tables struct{ csv, parquet, plot *string }

// tables declares the flags that name them.
func (c *call) tables() tables {
	return tables{
		csv:     c.flags.String("csv", "", "write a table of all cells and pairs to this `file`, as CSV"),
		parquet: c.flags.String("parquet", "", "write it to this `file`, as Parquet"),
		plot:    c.flags.String("plot", "", "write the map of the means over pairs to this `file`, as SVG"),
	}
}

func (t tables) any() bool { return *t.csv != "" || *t.parquet != "" || *t.plot != "" }

func (t tables) write(r *sweep.Result) error {
	for _, file := range []struct {
		path  string
		write func(w io.Writer) error
	}{
		{*t.csv, r.Frame().WriteCSV},
		{*t.parquet, func(w io.Writer) error { return writeParquet(w, r) }},
		{*t.plot, r.Plot().WriteSVG},
	} {
		if file.path == "" {
			continue
		}
		if err := whole.Write(file.path, file.write); err != nil {
			return err
		}
	}
	return nil
}

// row is a cell of a pair, in Parquet: the columns of sweep.Result's Frame, with lists as lists.
type row struct {
	Component string   `parquet:"component,dict"`
	Layer     int32    `parquet:"layer"`
	Position  string   `parquet:"position,dict"`
	Heads     []int32  `parquet:"heads,list"`    // empty for all
	Features  []int32  `parquet:"features,list"` // empty for all
	Direction int32    `parquet:"direction"`
	Scale     float64  `parquet:"scale"`
	Pair      int32    `parquet:"pair"`
	Value     float64  `parquet:"value"`
	Base      float64  `parquet:"base"`
	Source    *float64 `parquet:"source,optional"`
	Corrupted *float64 `parquet:"corrupted,optional"`
	Recovered *float64 `parquet:"recovered,optional"`
}

func writeParquet(w io.Writer, r *sweep.Result) error {
	recovered := r.Recovered()
	out := parquet.NewGenericWriter[row](w, parquet.Compression(&parquet.Zstd))
	for i, cell := range r.Cells {
		rows := make([]row, len(r.Base))
		for pair := range rows {
			rows[pair] = row{Component: string(cell.Component), Layer: int32(cell.Layer), Position: cell.Place.String(), Heads: int32s(cell.Heads), Features: int32s(cell.Features),
				Direction: int32(cell.Direction), Scale: cell.Scale, Pair: int32(pair), Value: r.Values[i][pair], Base: r.Base[pair]}
			if recovered != nil {
				rows[pair].Recovered = &recovered[i][pair]
				if r.Source != nil {
					rows[pair].Source = &r.Source[pair]
				} else {
					rows[pair].Corrupted = &r.Corrupted[pair]
				}
			}
		}
		if _, err := out.Write(rows); err != nil {
			return err
		}
	}
	return out.Close()
}

func int32s(list []int) []int32 {
	out := make([]int32, len(list))
	for i, n := range list {
		out[i] = int32(n)
	}
	return out
}
