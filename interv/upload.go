package interv

import (
	"maps"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/garbage"
	"github.com/govene/govene/internal/stored"
)

// fileReader is a backend that reads tensors from files itself, so that their bytes do not pass through this process. A buffer that it
// returns as nil is of a tensor that it does not find as it should be; why, is found out here.
type fileReader interface {
	FileBuffers(device compute.DeviceNum, list []*stored.Tensor) ([]compute.Buffer, error)
}

// readAtOnce is how many bytes of files a backend is asked to read at once, between which progress is told.
var readAtOnce int64 = 1 << 28

// Upload moves the weights to the device, where they are not already; those in files are read. Whatever runs a program that takes
// [Weights.Tensor] does this first. Memory of this process is given back tensor by tensor, so that the model is never held twice. Weights
// are on one backend: another is refused, unless that one is gone, as an engine may be, and they can be had without it.
func (w *Weights) Upload(backend compute.Backend) (err error) {
	w.uploading.Lock()
	defer w.uploading.Unlock()
	if w.on == backend {
		return nil
	}
	if w.on != nil && !(gone(w.on) && w.leave()) {
		return &Error{Where: "weights", Axis: "backend", Got: "another than they are on", Wanted: "the one on which the model ran first: load it again for another"}
	}
	defer func() {
		if err != nil && gone(backend) {
			w.leave()
		}
	}()
	if reader, ok := backend.(fileReader); ok {
		if err := w.askFor(reader); err != nil {
			return err
		}
	}
	var released garbage.Bytes
	defer released.Done()
	for _, name := range w.names {
		if err := w.bring(backend, name, &released); err != nil {
			return err
		}
	}
	w.on = backend
	return nil
}

// gone tells whether a backend has ended: it was finalized, or is another process, and that has.
func gone(backend compute.Backend) bool {
	other, ok := backend.(interface{ Gone() bool })
	return backend.IsFinalized() || ok && other.Gone()
}

// leave forgets a backend that is gone, if all that another needs is there: what lies in files is read again, what was given must be in this
// process.
func (w *Weights) leave() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, t := range w.values {
		if w.stored[name] == nil && (!t.HasLocal() || t.InvalidateOnDevice() != nil) {
			return false
		}
	}
	maps.DeleteFunc(w.values, func(name string, _ *tensors.Tensor) bool { return w.stored[name] != nil })
	w.on, w.done, w.told = nil, 0, 0
	return true
}

// bring moves one weight to the device.
func (w *Weights) bring(backend compute.Backend, name string, released *garbage.Bytes) (err error) {
	defer w.report()
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.values[name]
	_, reads := backend.(fileReader)
	held := t != nil && !(reads && w.stored[name] != nil) // by this process: what an engine has read was never here
	if t == nil {
		t, err = w.readTo(backend, name)
		held = err == nil && !t.IsShared()
	} else {
		_, err = t.Buffer(backend, 0)
		err = Within("weights, "+name, err)
	}
	if err == nil && held {
		released.Drop(int(t.ByteSize()))
	}
	return err
}

// askFor has a backend read what lies in files, also where this process has read it: what is sent takes longer than what is there.
func (w *Weights) askFor(reader fileReader) error {
	var batch []string
	var bytes int64
	for i, name := range w.names {
		if w.stored[name] != nil {
			batch, bytes = append(batch, name), bytes+w.stored[name].Bytes()
		}
		if len(batch) == 0 || bytes < readAtOnce && i < len(w.names)-1 {
			continue
		}
		if err := w.askForBatch(reader, batch); err != nil {
			return Within("weights", err)
		}
		batch, bytes = nil, 0
	}
	return nil
}

func (w *Weights) askForBatch(reader fileReader, names []string) error {
	list := make([]*stored.Tensor, len(names))
	for i, name := range names {
		list[i] = w.stored[name]
	}
	buffers, err := reader.FileBuffers(0, list)
	if err != nil {
		return err
	}
	defer w.report()
	w.mu.Lock()
	defer w.mu.Unlock()
	read := int64(0)
	for i, buffer := range buffers {
		if buffer == nil {
			continue
		}
		if w.values[names[i]] == nil {
			read += list[i].Bytes()
		}
		if w.values[names[i]], err = tensors.FromBuffer(buffer); err != nil {
			return err
		}
	}
	w.more(read)
	return nil
}

// tensor is a weight by name, read if need be.
func (w *Weights) tensor(name string) (t *tensors.Tensor, err error) {
	defer w.report()
	w.mu.Lock()
	defer w.mu.Unlock()
	if t = w.values[name]; t == nil && w.stored[name] != nil {
		return w.readTo(nil, name)
	}
	return t, nil
}

// readTo reads a weight from its file, straight into the memory of the device where that can be shared; to this process for no backend.
func (w *Weights) readTo(backend compute.Backend, name string) (*tensors.Tensor, error) {
	from := w.stored[name]
	t, err := tensors.FromShapeForBackend(backend, 0, from.Shape())
	if err != nil {
		return nil, err
	}
	var failed error
	if err = t.MutableBytes(func(into []byte) { failed = from.Read(into, w.more) }); err == nil {
		err = failed
	}
	if err == nil && backend != nil && !t.IsOnDevice(0) {
		if _, err = t.Buffer(backend, 0); err == nil {
			t.FinalizeLocal()
		}
	}
	if err != nil {
		t.FinalizeAll()
		return nil, Within("weights", err)
	}
	w.values[name] = t
	return t, nil
}

// more counts bytes of files that have been read.
func (w *Weights) more(bytes int64) { w.done = min(w.done+bytes, w.total) }

// report tells what has been read since it was last told. Where another goroutine tells, or tell itself has asked for a weight, that one goes on
// until all is told.
func (w *Weights) report() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tell == nil || w.telling {
		return
	}
	w.telling = true
	defer func() { w.telling = false }()
	for w.told < w.done {
		w.told = w.done
		w.tellUnlocked(w.told)
	}
}

func (w *Weights) tellUnlocked(done int64) {
	w.mu.Unlock()
	defer w.mu.Lock() // also where tell panics
	w.tell(done, w.total)
}
