// Package nb shows plots, tables and pictures in a notebook of the Go kernel, GoNB (github.com/janpfeifer/gonb), as output of the cell:
//
//	nb.MustShow(result.Plot())       // a plot of package plotting
//	nb.MustShowTable(config)         // whatever has String and HTML: an interv.Config, an interv.Result, a das.Report
//	nb.MustShowPicture(m.Drawing())  // whatever has String and SVG: a drawing of a causal.Model
//
// In a program that no GoNB kernel runs, [Show], [ShowTable] and [ShowPicture] return [ErrNoNotebook], with which the others panic. The package is
// apart from plotting so that only notebooks link it.
package nb

import (
	"errors"
	"fmt"
	"html"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/govene/govene/plotting"
)

// ErrNoNotebook is what Show returns in a program that no GoNB kernel runs.
var ErrNoNotebook = errors.New("nb: no notebook to show anything in: this program was not started by a GoNB kernel; Plot.WriteSVG writes a plot to a file")

// Show displays a plot as output of the cell: as an image, SVG, whose alternative text is the plot in words, and as these words.
func Show(plot plotting.Plot) error { return show(plot, "") }

// show displays a plot in the place of that shown before under the same id, if there is one.
func show(plot plotting.Plot, id string) error {
	document, err := plot.Bytes()
	if err != nil {
		return err
	}
	if !gonbui.IsNotebook {
		return ErrNoNotebook
	}
	return send(id, map[protocol.MIMEType]any{
		protocol.MIMETextHTML:  image(document, plot.String()),
		protocol.MIMETextPlain: plot.String(),
	})
}

// image is an SVG document as an element of HTML. As output of the type image/svg+xml, it would have no alternative text where nbconvert makes
// a page of a notebook, and JupyterLab would hide it until the notebook is trusted. Lines stay lines, for people who compare notebooks.
func image(document []byte, words string) string {
	inURL := strings.NewReplacer("%", "%25", "#", "%23", `"`, "%22", "&", "%26", "<", "%3C", ">", "%3E")
	return fmt.Sprintf(`<img alt="%s" src="data:image/svg+xml;charset=utf-8,%s">`, html.EscapeString(words), inURL.Replace(string(document)))
}

// MustShow is Show that panics on an error.
func MustShow(plot plotting.Plot) {
	if err := Show(plot); err != nil {
		panic(err)
	}
}

// Live returns what displays a plot as output of the cell and, each time that it is called again, another in its place: for curves of what
// is under way. It panics on an error.
func Live() func(plotting.Plot) {
	id := "plot_" + gonbui.UniqueId()
	return func(plot plotting.Plot) {
		if err := show(plot, id); err != nil {
			panic(err)
		}
	}
}
