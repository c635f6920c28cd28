package nb

import (
	"fmt"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// Table is what shows as a table: a config, an intervenable.
type Table interface {
	fmt.Stringer  // as aligned text
	HTML() string // as a fragment of HTML
}

// ShowTable displays a table as output of the cell: as HTML, and as text.
func ShowTable(table Table) error {
	if !gonbui.IsNotebook {
		return ErrNoNotebook
	}
	return send("", map[protocol.MIMEType]any{protocol.MIMETextHTML: table.HTML(), protocol.MIMETextPlain: table.String()})
}

// MustShowTable is ShowTable that panics on an error.
func MustShowTable(table Table) {
	if err := ShowTable(table); err != nil {
		panic(err)
	}
}

// Picture is what shows as SVG: a drawing of a causal model.
type Picture interface {
	fmt.Stringer // in words
	SVG() []byte // a document of its own
}

// ShowPicture displays a picture as output of the cell: as an image, and in words.
func ShowPicture(picture Picture) error {
	if !gonbui.IsNotebook {
		return ErrNoNotebook
	}
	return send("", map[protocol.MIMEType]any{protocol.MIMETextHTML: image(picture.SVG(), picture.String()), protocol.MIMETextPlain: picture.String()})
}

// MustShowPicture is ShowPicture that panics on an error.
func MustShowPicture(picture Picture) {
	if err := ShowPicture(picture); err != nil {
		panic(err)
	}
}

// send hands one output to the kernel, and waits for it: a cell's process may end right after.
func send(id string, data map[protocol.MIMEType]any) error {
	gonbui.SendData(&protocol.DisplayData{Data: data, DisplayID: id})
	gonbui.Sync()
	if err := gonbui.Error(); err != nil {
		return fmt.Errorf("nb: showing an output: %w", err)
	}
	return nil
}
