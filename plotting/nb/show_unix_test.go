//go:build unix

package nb_test

import (
	"encoding/gob"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/govene/govene/plotting/nb"
)

// The test plays the kernel at the other ends of the two pipes that a cell's process has.
func TestShowSendsAnImageWithWords(t *testing.T) {
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
	element, _ := shown.Data[protocol.MIMETextHTML].(string)
	if alt, document := imageOf(t, element); alt != plot().String() || document != string(want) {
		t.Errorf("got the image %q of %.80q, wanted the plot", alt, document)
	}
	if got := shown.Data[protocol.MIMETextPlain]; got != plot().String() {
		t.Errorf("got %q, wanted the plot in words", got)
	}
	if len(shown.Data) != 2 {
		t.Errorf("got %d forms, wanted an image and words", len(shown.Data))
	}
}
