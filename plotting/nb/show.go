// Package nb shows plots and tables in a notebook of the Go kernel, GoNB. It is apart from package plotting so that only notebooks link it.
package nb

import (
	"errors"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/govene/govene/plotting"
)

// ErrNoNotebook is what Show returns in a program that no GoNB kernel runs.
var ErrNoNotebook = errors.New("nb: no notebook to show anything in: this program was not started by a GoNB kernel; Plot.WriteSVG writes a plot to a file")

// inWords follows the plot's own words where a front end shows text alone: JupyterLab does so in a notebook that it does not trust,
// that is, one whose cells were not run here.
const inWords = "\n(The plot in words: run the cell, or trust the notebook, to see it.)"

// Show displays a plot as output of the cell: as native SVG, and in words.
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
		protocol.MIMEImageSVG:  string(document),
		protocol.MIMETextPlain: plot.String() + inWords,
	})
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
