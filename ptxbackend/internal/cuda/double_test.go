//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// double is testdata/libcuda.c, compiled and opened: the binding is tested through
// the C compiler's idea of the driver's functions and structures.
type double struct {
	t      testing.TB
	handle uintptr
	path   string
}

// libraries are the compiled doubles by the compiler's options.
var libraries = map[string]string{}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, path := range libraries {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// newDouble compiles the library, and makes Open find it.
func newDouble(t testing.TB, options ...string) *double {
	t.Helper()
	key := strings.Join(options, " ")
	if libraries[key] == "" {
		cc, err := exec.LookPath("cc")
		if err != nil {
			t.Skip("no C compiler (cc) to build the test double of libcuda with")
		}
		dir, err := os.MkdirTemp("", "libcuda")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "libcuda.so.1")
		args := append([]string{"-Wall", "-O1", "-shared", "-fPIC", "-pthread", "-o", path, "testdata/libcuda.c"}, options...)
		if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cc, err, out)
		}
		libraries[key] = path
	}
	t.Setenv("SANDWARP_CUDA_LIBRARY", libraries[key])
	t.Setenv("CUDA_CACHE_DISABLE", "1") // nothing of the user's is touched
	h, _, err := openLibrary([]string{libraries[key]})
	if err != nil {
		t.Fatal(err)
	}
	delete(opened.by, h) // Open starts it anew
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	d := &double{t, h, libraries[key]}
	d.call("fake_reset")
	return d
}

// call calls a function of the double; strings go as C strings.
func (d *double) call(name string, args ...any) uintptr {
	d.t.Helper()
	fn := findSymbol(d.handle, name)
	if fn == 0 {
		d.t.Fatalf("the double has no %s", name)
	}
	mem, err := mapMemory(4096)
	if err != nil {
		d.t.Fatal(err)
	}
	defer unmapMemory(mem)
	var words []uintptr
	at := 0
	for _, a := range args {
		switch a := a.(type) {
		case string:
			words = append(words, address(mem[at:]))
			at += copy(mem[at:], a) + 1
		case int:
			words = append(words, uintptr(a))
		}
	}
	return invoke(fn, words)
}

func (d *double) fail(name string, nth, code int)   { d.call("fake_fail", name, nth, code) }
func (d *double) set(what string, v int)            { d.call("fake_set", what, v) }
func (d *double) get(what string) int               { return int(d.call("fake_get", what)) }
func (d *double) clear()                            { d.call("fake_clear") }
func (d *double) has(t *testing.T, lines ...string) { t.Helper(); inOrder(t, d.log(), lines) }

// log is what was called since the last clear, a call a line.
func (d *double) log() string {
	p := d.call("fake_log")
	b := *(*unsafe.Pointer)(unsafe.Pointer(&p))
	n := 0
	for *(*byte)(unsafe.Add(b, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(b), n))
}

// inOrder fails unless text contains all of parts one after the other.
func inOrder(t *testing.T, text string, parts []string) {
	t.Helper()
	rest := text
	for _, p := range parts {
		i := strings.Index(rest, p)
		if i < 0 {
			t.Fatalf("%q is missing, or out of order, in:\n%s", p, text)
		}
		rest = rest[i+len(p):]
	}
}

// alive fails if anything is left that was made in the driver.
func (d *double) alive(t *testing.T) {
	t.Helper()
	for _, k := range []string{"stream", "event", "module", "graph", "exec", "memory", "host"} {
		if n := d.get(k); n != 0 {
			t.Errorf("%d of %s are left", n, k)
		}
	}
	if n := d.get("retained"); n != 0 {
		t.Errorf("the context is retained %d times", n)
	}
}

// open opens the double's GPU and enters it until the test ends.
func (d *double) open(t testing.TB) (*library, *device) {
	t.Helper()
	drv, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	dev, err := drv.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Enter(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		dev.Leave()
	})
	return drv.(*library), dev.(*device)
}

// kernel is a kernel of the double: "store" writes value to dst, "fault" breaks
// the device, "idle" does nothing.
func kernel(name string) *ptx.Kernel {
	return &ptx.Kernel{
		Name:   name,
		Params: []ptx.Param{{Name: "dst", Type: ptx.U64}, {Name: "value", Type: ptx.U32}, {Name: "tail", Type: ptx.U8, Count: 5, Align: 8}},
		Body:   []ptx.Instr{{Op: "griddepcontrol.wait"}, {Op: "ret"}},
	}
}

func moduleOf(kernels ...*ptx.Kernel) *ptx.Module {
	return &ptx.Module{Target: ptx.SM80, Kernels: kernels}
}

// params lays out what kernel takes.
func params(dst driver.Ptr, value uint32) []byte {
	b := make([]byte, 21)
	*(*uint64)(unsafe.Pointer(&b[0])) = uint64(dst)
	*(*uint32)(unsafe.Pointer(&b[8])) = value
	copy(b[16:], "tail!")
	return b
}

// load loads a kernel and finds it.
func load(t testing.TB, d driver.Device, name string) driver.Function {
	t.Helper()
	k := kernel(name)
	m, err := d.Load(moduleOf(k))
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Function(k)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newStream(t testing.TB, d driver.Device) driver.Stream {
	t.Helper()
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func alloc(t testing.TB, d driver.Device, bytes int64) driver.Ptr {
	t.Helper()
	p, err := d.Alloc(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// want fails unless err has the code and its message the words.
func want(t *testing.T, err error, code int, words ...string) {
	t.Helper()
	var e *driver.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of the driver with code %d", err, code)
	}
	if e.Code != code {
		t.Errorf("got code %d, want %d: %v", e.Code, code, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}
