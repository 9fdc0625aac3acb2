// Package gguf reads and writes GGUF model files, versions 2 and 3.
//
// A file is mapped read-only and its header parsed once: metadata is copied to
// the heap, tensor data stays in the file and is handed out as views. Everything
// in the header is checked before it is believed, so whoever holds a *File may
// use its shapes and offsets without checking again. Parsing allocates at most
// four times the size of the file and 8 MiB.
//
// The format is described at
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package gguf

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// File is a parsed GGUF file. Its methods may be called from several goroutines
// at once; Close must come after the last use of any view Data gave out.
type File struct {
	Name      string // the path, or the name given to Parse: errors carry it
	Version   uint32 // 2 or 3
	Alignment int    // of tensor data, in bytes: a power of two, 8 to 1 MiB

	data   []byte // the whole file
	unmap  func() error
	closed atomic.Bool

	entries []entry // metadata in file order
	byKey   []int32 // indices of entries, sorted by key
	tensors []Tensor
	byName  []int32 // indices of tensors, sorted by name
	byPlace []int32 // indices of tensors, sorted by offset
}

// Tensor says what a tensor is and where its data begins.
type Tensor struct {
	tensor.Desc       // Shape is row-major: the reverse of what the file stores
	Offset      int64 // from the start of the file, in bytes; a multiple of Alignment
}

// Open maps a file and parses its header. The error is a *FormatError if the
// content is to blame, else what the operating system said.
func Open(path string) (*File, error) {
	data, unmap, err := mapPath(path)
	if err != nil {
		return nil, err
	}
	f := &File{Name: path, data: data, unmap: unmap}
	// The file may shrink while it is read here, too.
	if fault := Guard(f, func() { err = f.parse() }); fault != nil {
		err = fault
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// mapPath maps a regular file. It asks what the path is before opening it,
// because opening a named pipe would wait for a writer.
func mapPath(path string) (data []byte, unmap func() error, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("gguf: %w", err)
	}
	if st.IsDir() {
		return nil, nil, fmt.Errorf("gguf: %s is a directory, not a regular file: name the model in it", path)
	}
	if !st.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("gguf: %s is not a regular file but %v", path, st.Mode().Type())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("gguf: %w", err)
	}
	defer file.Close() // a mapping outlives its descriptor
	if st, err = file.Stat(); err != nil {
		return nil, nil, fmt.Errorf("gguf: %w", err)
	}
	size := st.Size()
	switch {
	case size == 0:
		return nil, nil, &FormatError{File: path, Field: "magic", Reason: "the file is empty: download it again", cause: ErrTruncated}
	case int64(int(size)) != size:
		return nil, nil, fmt.Errorf("gguf: %s: %d bytes do not fit a 32-bit address space", path, size)
	}
	if data, unmap, err = mapFile(file, int(size)); err != nil {
		return nil, nil, fmt.Errorf("gguf: %s: mapping %d bytes: %w", path, size, err)
	}
	return data, unmap, nil
}

// Parse parses a file that is already in memory, such as an embedded model. The
// File keeps data, which must not change; where data does not begin at a multiple
// of 8, it is copied, so that views are always aligned for their elements.
func Parse(name string, data []byte) (*File, error) {
	if uintptr(unsafe.Pointer(unsafe.SliceData(data)))%8 != 0 {
		data = bytes.Clone(data)
	}
	f := &File{Name: name, data: data}
	if err := f.parse(); err != nil {
		return nil, err
	}
	return f, nil
}

// Close unmaps the file. Views that Data gave out must not be touched any more.
// Closing twice does nothing.
func (f *File) Close() error {
	if f.closed.Swap(true) || f.unmap == nil {
		return nil
	}
	return f.unmap()
}

// Size is the size of the file in bytes when it was opened.
func (f *File) Size() int64 { return int64(len(f.data)) }

// Tensors lists the tensors in file order. It may be empty: a file with metadata
// alone holds a vocabulary. The slice and its shapes are shared: do not change them.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := sort.Find(len(f.byName), func(i int) int {
		return strings.Compare(name, f.tensors[f.byName[i]].Name)
	})
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[f.byName[i]], true
}

// Data is the data of a tensor of this file: Rows() rows of
// DType.RowBytes(RowLen()) bytes, a view of the file, read-only, valid until
// Close. It begins at an address that is a multiple of 8. Reading it can fault if
// the file shrinks meanwhile: see Guard. Data is nil once the file is closed.
func (f *File) Data(t Tensor) []byte {
	if f.closed.Load() {
		return nil
	}
	end := t.Offset + int64(t.Bytes())
	return f.data[t.Offset:end:end]
}
