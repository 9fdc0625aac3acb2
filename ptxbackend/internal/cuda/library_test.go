//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// TestLayout compares the structures with what the C compiler makes of theirs.
func TestLayout(t *testing.T) {
	d := newDouble(t)
	for _, c := range []struct {
		name string
		got  uintptr
		want int
	}{
		{"sizeof config", unsafe.Sizeof(launchConfig{}), 56},
		{"sizeof attribute", unsafe.Sizeof(launchAttribute{}), 72},
		{"config.blockX", unsafe.Offsetof(launchConfig{}.block), 12},
		{"config.shared", unsafe.Offsetof(launchConfig{}.shared), 24},
		{"config.stream", unsafe.Offsetof(launchConfig{}.stream), 32},
		{"config.attrs", unsafe.Offsetof(launchConfig{}.attrs), 40},
		{"config.numAttrs", unsafe.Offsetof(launchConfig{}.numAttrs), 48},
		{"attribute.value", unsafe.Offsetof(launchAttribute{}.value), 8},
	} {
		if int(c.got) != c.want || d.get(c.name) != c.want {
			t.Errorf("%s: Go says %d, C says %d, the documentation %d", c.name, c.got, d.get(c.name), c.want)
		}
	}
	if n := unsafe.Offsetof(frame{}.params); n%16 != 0 {
		t.Errorf("parameters are at %d of the frame", n)
	}
}

func TestDevices(t *testing.T) {
	d := newDouble(t)
	d.set("devices", 2)
	drv, err := Open()
	must(t, err)
	if cuda, isa := drv.Version(); cuda != 13000 || isa != 90 {
		t.Errorf("version %d, PTX %d", cuda, isa)
	}
	got, err := drv.Devices()
	must(t, err)
	if len(got) != 2 {
		t.Fatalf("%d devices", len(got))
	}
	want := driver.Info{
		Ordinal: 1, Name: "Double 41", UUID: "GPU-01112131-4151-6171-8191-a1b1c1d1e1f1", Major: 9, SMs: 132, Memory: 1 << 30, L2: 60 << 20,
		SharedPerBlock: 232448, SharedPerSM: 233472, ClockKHz: 1980000, MemoryClockKHz: 3201000, BusBits: 6144,
	}
	if got[1] != want {
		t.Errorf("got  %+v\nwant %+v", got[1], want)
	}
	d.set("devices", 0)
	if got, err := drv.Devices(); len(got) != 0 || err != nil {
		t.Errorf("none: %v, %v", got, err)
	}
	d.fail("cuDeviceGetCount", 1, driver.CodeNoDevice)
	if got, err := drv.Devices(); len(got) != 0 || err != nil {
		t.Errorf("none by code: %v, %v", got, err)
	}
	_, err = drv.Open(7)
	if err == nil || !strings.Contains(err.Error(), "GPU 7") {
		t.Errorf("Open(7): %v", err)
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct{ cuda, isa int }{
		{11030, 0}, {11040, 74}, {11080, 78}, {12000, 80}, {12050, 85}, {12060, 85}, {12080, 87}, {12090, 88}, {13000, 90}, {13010, 91}, {14000, 95},
	} {
		if got := isaOf(c.cuda); got != c.isa {
			t.Errorf("CUDA %s: PTX %d, want %d", cudaName(c.cuda), got, c.isa)
		}
	}
	for isa, cuda := range map[int]int{74: 11040, 78: 11080, 80: 12000, 86: 12070, 90: 13000, 99: 0} {
		if got := cudaOf(isa); got != cuda {
			t.Errorf("PTX %d: CUDA %d, want %d", isa, got, cuda)
		}
	}
}

// TestNoDriver opens all that is no usable driver: the error says so and what to do.
func TestNoDriver(t *testing.T) {
	check := func(t *testing.T, words ...string) {
		t.Helper()
		drv, err := Open()
		if !errors.Is(err, driver.ErrNoDriver) || drv != nil {
			t.Fatalf("Open: %v, %v", drv, err)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
	}
	t.Run("absent", func(t *testing.T) {
		t.Setenv("SANDWARP_CUDA_LIBRARY", "/nonexistent/libcuda.so.1")
		check(t, "/nonexistent/libcuda.so.1", "install NVIDIA's driver", "container")
	})
	t.Run("other library", func(t *testing.T) {
		t.Setenv("SANDWARP_CUDA_LIBRARY", "libc.so.6")
		check(t, "libc.so.6 lacks cuInit")
	})
	t.Run("old", func(t *testing.T) {
		newDouble(t).set("version", 11020)
		check(t, "is for CUDA 11.2", "update it to one for CUDA 11.4")
	})
	t.Run("lacks functions", func(t *testing.T) {
		newDouble(t, "-DcuGraphInstantiateWithFlags=cuGraphInstantiate_v1")
		check(t, "lacks cuGraphInstantiateWithFlags", "update it")
	})
	for code, words := range map[int][]string{
		driver.CodeNoDevice:       {"CUDA_ERROR_NO_DEVICE (100)", "CUDA_VISIBLE_DEVICES"},
		driver.CodeNotInitialized: {"CUDA_ERROR_NOT_INITIALIZED (3)", "nvidia-smi"},
		driver.CodeSystemNotReady: {"CUDA_ERROR_SYSTEM_NOT_READY (802)", "nvidia-fabricmanager"},
		driver.CodeDriverMismatch: {"803", "different versions"},
		driver.CodeStubLibrary:    {"34", "stub"},
		driver.CodeUnknown:        {"CUDA error (999)", "dmesg"},
	} {
		d := newDouble(t)
		d.fail("cuInit", 1, code)
		check(t, append(words, "cuInit")...)
		d.call("fake_reset")
		d.fail("cuDriverGetVersion", 1, code)
		check(t, "cuDriverGetVersion")
	}
}

// TestWaitFlags checks how the context is told to wait.
func TestWaitFlags(t *testing.T) {
	for value, flags := range map[string]int{"": schedSpin, "spin": schedSpin, "yield": schedYield, "block": schedBlock} {
		t.Run("wait="+value, func(t *testing.T) {
			d := newDouble(t)
			t.Setenv("SANDWARP_CUDA_WAIT", value)
			d.open(t)
			if got := d.get("flags"); got != flags {
				t.Errorf("flags %d, want %d", got, flags)
			}
		})
	}
	d := newDouble(t)
	d.fail("cuDevicePrimaryCtxSetFlags_v2", 1, codeContextActive)
	d.open(t) // somebody else's flags stay
	t.Setenv("SANDWARP_CUDA_WAIT", "sleep")
	drv, err := Open()
	must(t, err)
	if _, err := drv.Open(0); err == nil || !strings.Contains(err.Error(), "spin, yield or block") {
		t.Errorf("got %v", err)
	}
}

// A process has one driver, and one book of what its threads have entered.
func TestOpenTwice(t *testing.T) {
	newDouble(t)
	first, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open()
	if err != nil || second != first {
		t.Errorf("another driver, %v", err)
	}
}
