// Package plotting is a small grammar of graphics that writes SVG with the standard library alone.
//
// A plot is a table, a mapping of its columns to aesthetics, and parts that are added, one line for each:
//
//	plotting.New(frame, plotting.Aes{X: "base step", Y: "source step", Fill: "effect", Label: "effect"}).Add(
//		plotting.Tile{},
//		plotting.Text{Format: "%.2f"},
//		plotting.FacetWrap{By: "class", Both: true},
//		plotting.FillScale{Map: plotting.Purples},
//		plotting.Labels{Title: "What one patched step changes"},
//	)
//
// A table is made of columns ([NewFrame]), of a slice of structs, which loops append to ([FrameOf]), or of a file ([ReadCSV]).
//
// A part is a layer ([Tile], [Bar], [Line], [Point], [Text], [HLine]), a scale ([LogY], [ReverseY], [FillScale], [ColourScale]),
// facets ([FacetWrap]), or what a plot says and how it looks ([Labels], [Theme]). The grammar is Wilkinson's ("The Grammar of
// Graphics", 2005) in the form of plotnine, one line here for one plotnine "+"; where plots differ from plotnine's, the part says so.
//
// # Semantics
//
// Texts and columns with [Column.Levels] are categories: level i lies at i on an axis, and the axis reaches 0.6 beyond the first and
// the last. Other axes reach 5% beyond the values. Facets share their axes. On a logarithmic axis bars rise from the panel's lower end.
//
// Nothing is dropped: a value that cannot be drawn (NaN, zero on a logarithmic axis), a column that is not there and two tiles in one
// place are an [*Error] that [Plot.WriteSVG] returns. Only names that have no room are shortened: a long one ends in an ellipsis, and
// where an axis has too many for its length, every second, third … is written.
//
// # Output
//
// The same plot gives the same bytes. They are well-formed XML whatever the texts hold; text stays text, anchored where it belongs and
// measured with the widths of DejaVu Sans (those of Verdana), so that it can be selected and searched. A figure brings its own light
// ground and is legible on any page. It has a title and a description for screen readers.
package plotting
