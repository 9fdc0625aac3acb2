package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"unicode/utf8"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Writer collects metadata and tensors and writes a GGUF file that this package
// reads. What a call gets wrong is reported by WriteTo, so a file can be described
// in a straight line. A Writer is for one goroutine.
type Writer struct {
	version uint32
	align   uint64
	keys    map[string]bool
	names   map[string]bool
	header  []byte // metadata entries as they will stand in the file
	tensors []pending
	err     error // the first mistake
}

// pending is a tensor that writes its data when its turn comes.
type pending struct {
	tensor.Desc
	bytes uint64
	write func(io.Writer) error
}

// NewWriter returns an empty Writer for version 3.
func NewWriter() *Writer {
	return &Writer{version: 3, align: defaultAlignment, keys: map[string]bool{}, names: map[string]bool{}}
}

// kindOf are the Go types of metadata values.
var kindOf = map[reflect.Type]kind{
	reflect.TypeFor[uint8](): kindUint8, reflect.TypeFor[int8](): kindInt8,
	reflect.TypeFor[uint16](): kindUint16, reflect.TypeFor[int16](): kindInt16,
	reflect.TypeFor[uint32](): kindUint32, reflect.TypeFor[int32](): kindInt32,
	reflect.TypeFor[uint64](): kindUint64, reflect.TypeFor[int64](): kindInt64,
	reflect.TypeFor[float32](): kindFloat32, reflect.TypeFor[float64](): kindFloat64,
	reflect.TypeFor[bool](): kindBool, reflect.TypeFor[string](): kindString,
}

func (w *Writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("gguf: "+format, args...)
	}
}

// Set adds a metadata entry. The value is of one of the types File.Value returns;
// its Go type decides its type in the file, so an int is refused. The key
// general.alignment, a uint32, sets the alignment of tensor data, else it is 32.
func (w *Writer) Set(key string, value any) {
	field := keyField(key)
	if problem := checkName(key); problem != "" {
		w.fail("%s: %s", field, problem)
	} else if w.keys[key] {
		w.fail("%s is set twice", field)
	}
	if key == alignmentKey {
		a, ok := value.(uint32)
		if !ok || !validAlignment(uint64(a)) {
			w.fail("%s: %v is no uint32 that is a power of two from %d to %d", field, value, minAlignment, maxAlignment)
		}
		w.align = uint64(a)
	}
	w.keys[key] = true
	w.header = appendText(w.header, key)
	var ok bool
	if w.header, ok = appendValue(w.header, value); !ok {
		w.fail("%s: a %T cannot be stored: use a type of fixed size", field, value)
	}
}

// checkName says what is wrong with a key or a tensor's name, "" if nothing.
func checkName(s string) string {
	switch {
	case len(s) == 0 || len(s) > maxName:
		return fmt.Sprintf("it is %d bytes long, 1 to %d are allowed", len(s), maxName)
	case !utf8.ValidString(s):
		return fmt.Sprintf("%.80q is not valid UTF-8", s)
	}
	return ""
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends a type number and the value.
func appendValue(b []byte, value any) ([]byte, bool) {
	t := reflect.TypeOf(value)
	array := t != nil && t.Kind() == reflect.Slice
	if array {
		t = t.Elem()
	}
	k, ok := kindOf[t]
	if !ok {
		return b, false
	}
	if array {
		b = binary.LittleEndian.AppendUint32(b, uint32(kindArray))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(k))
	if array {
		b = binary.LittleEndian.AppendUint64(b, uint64(reflect.ValueOf(value).Len()))
	}
	switch v := value.(type) {
	case string:
		return appendText(b, v), true
	case []string:
		for _, s := range v {
			b = appendText(b, s)
		}
		return b, true
	}
	b, err := binary.Append(b, binary.LittleEndian, value)
	return b, err == nil
}

// Add adds a tensor. WriteTo calls write when the tensor's turn comes, in the
// order of Add, and write must produce exactly desc.Bytes() bytes: it may compute
// them row by row, so that a conversion never holds a whole model.
func (w *Writer) Add(desc tensor.Desc, write func(io.Writer) error) {
	field := fmt.Sprintf("tensor %.120q", desc.Name)
	dims := reversed(desc.Shape)
	size, problem := dataSize(dims, desc.DType)
	switch {
	case checkName(desc.Name) != "":
		problem = checkName(desc.Name)
	case w.names[desc.Name]:
		problem = "it is added twice"
	case !desc.DType.Valid():
		problem = fmt.Sprintf("unknown type %v", desc.DType)
	case len(dims) < 1 || len(dims) > maxDims:
		problem = fmt.Sprintf("%d dimensions, 1 to %d are allowed", len(dims), maxDims)
	}
	if problem != "" {
		w.fail("%s: %s", field, problem)
	}
	w.names[desc.Name] = true
	desc.Shape = append([]int(nil), desc.Shape...)
	w.tensors = append(w.tensors, pending{desc, size, write})
}

// AddBytes adds a tensor whose data is at hand; data must not change until WriteTo
// has returned.
func (w *Writer) AddBytes(desc tensor.Desc, data []byte) {
	w.Add(desc, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

// reversed is the shape in the order of the file, the contiguous dimension first.
// A negative length becomes one that is out of range.
func reversed(shape []int) []uint64 {
	dims := make([]uint64, len(shape))
	for i, n := range shape {
		dims[len(shape)-1-i] = uint64(n)
	}
	return dims
}

// WriteTo writes the file, or reports the first mistake made in describing it.
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	header, err := w.fullHeader()
	if err != nil {
		return 0, err
	}
	sum := &counter{out: out}
	buf := bufio.NewWriterSize(sum, 1<<18)
	if _, err = buf.Write(header); err == nil {
		for _, t := range w.tensors {
			if err = w.writeTensor(buf, t); err != nil {
				return sum.n, fmt.Errorf("gguf: tensor %.120q: %w", t.Name, err)
			}
		}
		err = buf.Flush()
	}
	if err != nil {
		return sum.n, fmt.Errorf("gguf: %w", err)
	}
	return sum.n, nil
}

func (w *Writer) padding(n uint64) uint64 { return -n & (w.align - 1) }

// fullHeader is everything before the data, padded. The offsets of the tensors
// follow from their sizes.
func (w *Writer) fullHeader() ([]byte, error) {
	if len(w.keys) > maxKeys || len(w.tensors) > maxTensors {
		w.fail("%d keys and %d tensors, at most %d and %d are allowed", len(w.keys), len(w.tensors), maxKeys, maxTensors)
	}
	if len(w.keys) == 0 && len(w.tensors) == 0 {
		w.fail("a file needs metadata or tensors")
	}
	if len(w.header) > maxHeader { // said before it is copied
		w.fail("the metadata takes %d bytes, at most %d are allowed", len(w.header), maxHeader)
	}
	if w.err != nil {
		return nil, w.err
	}
	b := binary.LittleEndian.AppendUint32([]byte(magic), w.version)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(w.tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(w.keys)))
	b = append(b, w.header...)
	offset := uint64(0)
	for _, t := range w.tensors {
		b = appendText(b, t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
		for _, d := range reversed(t.Shape) {
			b = binary.LittleEndian.AppendUint64(b, d)
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.DType))
		b = binary.LittleEndian.AppendUint64(b, offset)
		if offset += t.bytes + w.padding(t.bytes); offset > math.MaxInt64/2 {
			return nil, errors.New("gguf: the tensors together are larger than a file can be")
		}
	}
	b = append(b, make([]byte, w.padding(uint64(len(b))))...)
	if len(b) > maxHeader {
		return nil, fmt.Errorf("gguf: the header would be %d bytes long, at most %d are allowed", len(b), maxHeader)
	}
	return b, nil
}

func (w *Writer) writeTensor(buf *bufio.Writer, t pending) error {
	data := &exactly{out: buf, size: t.bytes, left: t.bytes}
	if err := t.write(data); err != nil {
		return err
	}
	if data.left != 0 {
		return fmt.Errorf("its data is %d bytes short of %d", data.left, t.bytes)
	}
	_, err := buf.Write(make([]byte, w.padding(t.bytes)))
	return err
}

// counter counts what reaches the destination.
type counter struct {
	out io.Writer
	n   int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	c.n += int64(n)
	return n, err
}

// exactly refuses to take more than a tensor's size.
type exactly struct {
	out        io.Writer
	size, left uint64
}

func (e *exactly) Write(b []byte) (int, error) {
	if uint64(len(b)) > e.left {
		return 0, fmt.Errorf("its data is longer than %d bytes", e.size)
	}
	n, err := e.out.Write(b)
	e.left -= uint64(n)
	return n, err
}

// WriteFile writes the file beside path and renames it when it is complete and on
// disk: path holds the old content or the new one, never a part.
func (w *Writer) WriteFile(path string) (err error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("gguf: %s exists and is not a regular file", path)
	}
	dir, base := filepath.Split(path)
	part := filepath.Join(dir, fmt.Sprintf(".%s.%08x.part", base, rand.Uint32()))
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	_, err = w.WriteTo(file)
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(part, path)
}
