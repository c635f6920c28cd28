//go:build unix

package nb_test

import (
	"encoding/gob"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/govene/govene/plotting/nb"
)

// The test plays the kernel at the other ends of the two pipes that a cell's process has.
func TestShowSendsNativeSVG(t *testing.T) {
	folder := t.TempDir()
	toKernel, fromKernel := filepath.Join(folder, "to"), filepath.Join(folder, "from")
	for _, pipe := range []string{toKernel, fromKernel} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(protocol.GONB_PIPE_ENV, toKernel)
	t.Setenv(protocol.GONB_PIPE_BACK_ENV, fromKernel)
	gonbui.IsNotebook = true
	defer func() { gonbui.IsNotebook = false }()

	received := make(chan protocol.DisplayData, 1)
	go func() {
		in, err := os.Open(toKernel)
		if err != nil {
			t.Error(err)
			return
		}
		out, err := os.OpenFile(fromKernel, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		decoder := gob.NewDecoder(in)
		var shown, sync protocol.DisplayData
		if err := decoder.Decode(&shown); err != nil {
			t.Error(err)
		}
		if err := decoder.Decode(&sync); err != nil {
			t.Error(err)
		}
		request := sync.Data[protocol.MIMECommValue].(protocol.CommValue)
		acknowledged := protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: request.Value}
		if err := gob.NewEncoder(out).Encode(&acknowledged); err != nil {
			t.Error(err)
		}
		received <- shown
	}()

	if err := nb.Show(plot()); err != nil {
		t.Fatal(err)
	}
	shown := <-received
	want, _ := plot().Bytes()
	if got := shown.Data[protocol.MIMEImageSVG]; got != string(want) {
		t.Errorf("got %.80v, wanted the plot", got)
	}
	if got, _ := shown.Data[protocol.MIMETextPlain].(string); !strings.HasPrefix(got, plot().String()) {
		t.Errorf("got %q, wanted the plot in words", got)
	}
	if _, html := shown.Data[protocol.MIMETextHTML]; html {
		t.Error("sent as HTML too")
	}
}
