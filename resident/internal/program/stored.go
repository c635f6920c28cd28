package program

import (
	"fmt"

	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/resident/internal/wire"
)

// AppendStored appends tensors that lie in files.
func AppendStored(w *wire.Writer, list []*stored.Tensor) {
	numbers, files := map[*stored.File]uint64{}, []*stored.File(nil)
	visit := func(p stored.Piece) {
		if _, ok := numbers[p.File]; !ok {
			numbers[p.File] = uint64(len(files))
			files = append(files, p.File)
		}
	}
	for _, t := range list {
		for _, p := range t.Places() {
			visit(p)
		}
	}
	w.Uint(uint64(len(files)))
	for _, f := range files {
		w.Text(f.Path)
		w.Int(f.Size)
		w.Int(f.Modified)
		w.Uint(f.Inode)
		w.Int(f.Changed)
	}
	w.Uint(uint64(len(list)))
	for _, t := range list {
		AppendShape(w, t.As)
		w.Bool(t.Twin != nil)
		w.Uint(uint64(len(t.Places())))
		for _, p := range t.Places() {
			w.Uint(numbers[p.File])
			w.Int(p.Offset)
			w.Text(p.DType)
		}
	}
}

// ReadStored takes tensors that lie in files, which are not open yet.
func ReadStored(r *wire.Reader) (list []*stored.Tensor) {
	files := make([]*stored.File, r.Count())
	for i := range files {
		files[i] = stored.Named(stored.Identity{Path: r.Text(), Size: r.Int(), Modified: r.Int(), Inode: r.Uint(), Changed: r.Int()})
	}
	list = make([]*stored.Tensor, r.Count())
	for i := range list {
		t := &stored.Tensor{As: ReadShape(r)}
		twin := r.Bool()
		t.Pieces = make([]stored.Piece, r.Count())
		for j := range t.Pieces {
			n := r.Uint()
			if r.Err == nil && n >= uint64(len(files)) {
				r.Fail("file %d of %d", n, len(files))
			}
			if r.Err != nil {
				return nil
			}
			t.Pieces[j] = stored.Piece{Name: fmt.Sprintf("%d.%d", i, j), File: files[n], Offset: r.Int(), DType: r.Text()}
		}
		if last := len(t.Pieces) - 1; twin && last >= 0 {
			t.Twin, t.Pieces = &t.Pieces[last], t.Pieces[:last]
		}
		list[i] = t
	}
	return list
}
