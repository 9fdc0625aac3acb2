//go:build unix

package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// mapped opens a file with two tensors of 512 KiB.
func mapped(t testing.TB) *File {
	t.Helper()
	w := NewWriter()
	w.Set("general.architecture", strings.Repeat("llama", 4000)) // a header of several pages
	for _, name := range []string{"first", "second"} {
		d := tensor.Desc{Name: name, DType: tensor.F32, Shape: []int{256, 512}}
		w.AddBytes(d, ramp(d.Bytes(), 3))
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// sum reads every byte. It is not inlined, else loads whose result nobody uses
// would vanish.
//
//go:noinline
func sum(b []byte) (n int) {
	for _, v := range b {
		n += int(v)
	}
	return n
}

// TestFault cuts a file while it is mapped: the reader gets a typed error that
// names the tensor, and the process lives.
func TestFault(t *testing.T) {
	f := mapped(t)
	first, _ := f.Tensor("first")
	second, _ := f.Tensor("second")
	want := sum(f.Data(second))
	same := bytes.Clone(f.Data(second))
	page := int64(os.Getpagesize()) // within a page the bytes after a cut read as zeros
	if err := os.Truncate(f.Name, (second.Offset/page+2)*page); err != nil {
		t.Fatal(err)
	}
	if err := Guard(f, func() { sum(f.Data(first)) }); err != nil {
		t.Errorf("the data before the cut: %v", err)
	}
	equal := false
	readers := map[string]func(){
		"read":   func() { sum(f.Data(second)) },
		"copy":   func() { copy(make([]byte, second.Bytes()), f.Data(second)) },
		"string": func() { _ = string(f.Data(second)) },
		"equal":  func() { equal = bytes.Equal(f.Data(second), same) },
	}
	for name, read := range readers {
		err := Guard(f, read)
		var e *FormatError
		if !errors.Is(err, ErrTruncated) || !errors.As(err, &e) {
			t.Fatalf("%s: %v", name, err)
		}
		if e.File != f.Name || e.Field != `data of tensor "second"` || e.Offset <= second.Offset || e.Offset >= f.Size() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if equal {
		t.Error("compared what is not there any more")
	}
	if debug.SetPanicOnFault(false) {
		t.Error("Guard left SetPanicOnFault set")
	}
	// What was there comes back once the file is whole again.
	if err := os.Truncate(f.Name, f.Size()); err != nil {
		t.Fatal(err)
	}
	if err := Guard(f, func() { want -= sum(f.Data(second)) }); err != nil || want == 0 {
		t.Errorf("after the cut was filled with zeros: %v, sums differ by %d", err, want)
	}
}

// TestFaultInWorkers: a long-lived worker sets the flag itself, once, and asks
// FaultError about what it recovers.
func TestFaultInWorkers(t *testing.T) {
	f := mapped(t)
	if err := os.Truncate(f.Name, 4096); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		wg.Go(func() {
			debug.SetPanicOnFault(true)
			defer func() { errs <- f.FaultError(recover()) }()
			sum(f.Data(f.Tensors()[1]))
		})
	}
	wg.Wait()
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, ErrTruncated) {
			t.Errorf("worker: %v", err)
		}
	}
}

// TestOtherPanicsGoOn: Guard keeps only faults inside the mapping it was given.
func TestOtherPanicsGoOn(t *testing.T) {
	f, other := mapped(t), mapped(t)
	if err := os.Truncate(other.Name, 0); err != nil {
		t.Fatal(err)
	}
	var nothing *int
	for name, fn := range map[string]func(){
		"a panic":                 func() { panic("mine") },
		"an index out of range":   func() { _ = f.Data(f.Tensors()[0])[1<<30] },
		"a nil pointer":           func() { *nothing = 1 },
		"a fault in another file": func() { sum(other.Data(other.Tensors()[0])) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not go on", name)
				}
			}()
			err := Guard(f, fn)
			t.Errorf("%s became %v", name, err)
		}()
	}
	for _, r := range []any{nil, "text", errors.New("x"), runtime.Error(nil)} {
		if err := f.FaultError(r); err != nil {
			t.Errorf("FaultError(%v) = %v", r, err)
		}
	}
	if debug.SetPanicOnFault(false) {
		t.Error("Guard left SetPanicOnFault set after a panic")
	}
}

// TestFaultWhileParsing: the file may be cut between being mapped and being read.
func TestFaultWhileParsing(t *testing.T) {
	path := mapped(t).Name
	data, unmap, err := mapPath(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{Name: path, data: data, unmap: unmap}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	err = Guard(f, func() { f.parse() })
	var e *FormatError
	if !errors.Is(err, ErrTruncated) || !errors.As(err, &e) || e.Field != "header" || e.Offset < 4096 {
		t.Errorf("%v", err)
	}
}

// TestTruncatedWhileReading cuts files under readers that are in full swing, again
// and again.
func TestTruncatedWhileReading(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	f := mapped(t)
	whole, err := os.ReadFile(f.Name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rounds {
		path := filepath.Join(filepath.Dir(f.Name), fmt.Sprint(i))
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		started, result := make(chan bool), make(chan error)
		go func() {
			result <- Guard(f, func() {
				sum(f.Data(f.Tensors()[0]))
				close(started)
				for {
					sum(f.Data(f.Tensors()[1]))
				}
			})
		}()
		<-started
		if err := os.Truncate(path, int64(4096*(i%250))); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, ErrTruncated) {
			t.Fatal(err)
		}
		f.Close()
		os.Remove(path)
	}
}

func TestContains(t *testing.T) {
	f := mapped(t)
	page := uintptr(os.Getpagesize())
	size := (uintptr(f.Size()) + page - 1) / page * page
	for addr, want := range map[uintptr]bool{
		f.base(): true, f.base() - 1: false, f.base() + uintptr(f.Size()) - 1: true, f.base() + size - 1: true, f.base() + size: false, 0: false, 4096: false,
	} {
		if f.Contains(addr) != want {
			t.Errorf("base %+d: %v", int64(addr-f.base()), !want)
		}
	}
	base := f.base()
	f.Close()
	if f.Contains(base) {
		t.Error("a closed file has no mapping")
	}
}

// TestOpenPipe: opening a named pipe must not wait for a writer.
func TestOpenPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	if _, err := Open("/dev/null"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	closed, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, _, err := mapFile(closed, 4096); err == nil {
		t.Error("mapped a closed file")
	}
}
