//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func TestFunction(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	f := load(t, dev, "store")
	if got := f.Resources(); got != (driver.Resources{Registers: 32, Shared: 1024, Local: 8}) {
		t.Errorf("resources %+v", got)
	}
	must(t, f.SetShared(100<<10))
	d.has(t, "cuFuncSetAttribute 8 102400")
	want(t, f.SetShared(232448), driver.CodeInvalidValue, "kernel store: 232448 bytes of dynamic shared memory beside 1024", "232448 in all")
	n, err := f.Blocks(256, 100<<10)
	must(t, err)
	d.has(t, "cuOccupancyMaxActiveBlocksPerMultiprocessor 256 102400")
	if n != 8 {
		t.Errorf("%d blocks", n)
	}
	m := f.(*function).m
	_, err = m.Function(kernel("absent"))
	want(t, err, driver.CodeNotFound, "kernel absent of kernel store")
	_, err = m.Function(kernel(strings.Repeat("n", 300)))
	want(t, err, driver.CodeInvalidValue, "300 bytes")
	big := kernel("store")
	big.Params = append(big.Params, ptx.Param{Name: "p", Type: ptx.U8, Count: 5000})
	_, err = m.Function(big)
	want(t, err, driver.CodeInvalidValue, "4096")
	_, err = dev.Load(moduleOf())
	want(t, err, driver.CodeInvalidValue, "no kernels")
	must(t, m.Unload())
	must(t, m.Unload())
	want(t, f.SetShared(1), codeInvalidHandle, "module of store was closed")
	_, err = m.Function(kernel("store"))
	want(t, err, codeInvalidHandle)
}

// TestCompileErrors looks at what is said when a text does not become a module.
func TestCompileErrors(t *testing.T) {
	bad := kernel("broken")
	bad.Body = []ptx.Instr{{Op: "bad.u32"}, {Op: "ret"}}
	for _, c := range []struct {
		name  string
		set   func(*double)
		m     *ptx.Module
		code  int
		words []string
	}{
		{"text", nil, moduleOf(kernel("store"), bad), driver.CodeInvalidPTX,
			[]string{"cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (218)", "2 kernels (store, broken)", " of kernel broken: bad.u32;", "ptxas fatal", "ptxas info"}},
		{"no compiler", func(d *double) { d.fail("cuModuleLoadDataEx", 1, driver.CodeNoJITCompiler) }, moduleOf(kernel("store")), driver.CodeNoJITCompiler,
			[]string{"kernel store", "libnvidia-ptxjitcompiler.so.1", "libnvidia-compute-NNN", "NVIDIA_DRIVER_CAPABILITIES"}},
		{"driver says old", func(d *double) { d.fail("cuModuleLoadDataEx", 1, driver.CodeUnsupportedPTX) }, moduleOf(kernel("store")), driver.CodeUnsupportedPTX,
			[]string{"the text is PTX 7.4", "compiles up to PTX 9.0"}},
		{"too old", func(d *double) { d.set("version", 11080) }, &ptx.Module{Target: ptx.SM90a, Kernels: []*ptx.Kernel{kernel("store")}}, driver.CodeUnsupportedPTX,
			[]string{"the text is PTX 8.0", "(CUDA 11.8) compiles up to PTX 7.8", "CUDA 12.0 or newer"}},
		{"other GPU", func(d *double) { d.set("major", 10) }, &ptx.Module{Target: ptx.SM90a, Kernels: []*ptx.Kernel{kernel("store")}}, driver.CodeNoBinaryForGPU,
			[]string{"code for sm_90a does not run on Double 40, which is sm_100"}},
		{"old GPU", func(d *double) { d.set("major", 7); d.set("minor", 5) }, moduleOf(kernel("store")), driver.CodeNoBinaryForGPU, []string{"sm_75"}},
		{"driver says other GPU", func(d *double) { d.fail("cuModuleLoadDataEx", 1, driver.CodeNoBinaryForGPU) }, moduleOf(kernel("store")), driver.CodeNoBinaryForGPU,
			[]string{"code for sm_80 does not run"}},
		{"no memory", func(d *double) { d.fail("cuModuleLoadDataEx", 1, driver.CodeOutOfMemory) }, moduleOf(kernel("store")), driver.CodeOutOfMemory,
			[]string{"loading kernel store", "1024.0 MiB of 1024.0 MiB are free"}},
		{"lost", func(d *double) { d.fail("cuModuleLoadDataEx", 1, driver.CodeLaunchFailed) }, moduleOf(kernel("store")), driver.CodeLaunchFailed, []string{"kernel store"}},
	} {
		for _, cache := range []string{"off", ""} {
			t.Run(c.name+" cache "+cache, func(t *testing.T) {
				d := newDouble(t)
				if cache != "" {
					t.Setenv("SANDWARP_CACHE", cache)
				} else if c.set != nil && c.code != driver.CodeOutOfMemory {
					d.fail("cuLinkCreate_v2", 1, c.code)
				} else if c.code == driver.CodeOutOfMemory {
					d.fail("cuLinkAddData_v2", 1, c.code)
				}
				if c.set != nil {
					c.set(d)
				}
				_, dev := d.open(t)
				_, err := dev.Load(c.m)
				want(t, err, c.code, c.words...)
				if n := d.get("module") + d.get("link"); n != 0 {
					t.Errorf("%d things are left", n)
				}
			})
		}
	}
}

// TestJITOptions checks the arrays as C reads them.
func TestJITOptions(t *testing.T) {
	d := newDouble(t)
	t.Setenv("SANDWARP_CACHE", "off")
	_, dev := d.open(t)
	load(t, dev, "store")
	d.has(t, "cuModuleLoadDataEx text\noptions 3 4=32768 5 6=32768 12=1\n")
	if strings.Contains(d.log(), "cuLink") {
		t.Error("linked without a cache")
	}
	t.Setenv("SANDWARP_CACHE", t.TempDir())
	d2, err := dev.lib.Open(0)
	must(t, err)
	must(t, d2.Enter())
	_, err = d2.Load(&ptx.Module{Target: ptx.SM90a, Kernels: []*ptx.Kernel{kernel("store")}})
	must(t, err)
	d.has(t, "cuLinkCreate_v2 6\noptions 3 4=32768 5 6=32768 12=1 9=65626\n", "cuLinkAddData_v2 1", "cuLinkComplete", "cuModuleLoadDataEx cubin", "cuLinkDestroy")
	must(t, d2.Close())
	d2.Leave()
}

// loads loads a module anew and says whether it was compiled.
func loads(t *testing.T, d *double, name string) (compiled bool) {
	t.Helper()
	drv, err := Open()
	must(t, err)
	dev, err := drv.Open(0)
	must(t, err)
	must(t, dev.Enter())
	defer dev.Leave()
	d.clear()
	load(t, dev, name)
	compiled = strings.Contains(d.log(), "cuLinkComplete") || strings.Contains(d.log(), "cuModuleLoadDataEx text")
	must(t, dev.Close())
	return compiled
}

func cached(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.Getenv("SANDWARP_CACHE"), "cubin", "*"))
	must(t, err)
	return files
}

func TestCubinCache(t *testing.T) {
	d := newDouble(t)
	if !loads(t, d, "store") || loads(t, d, "store") {
		t.Error("the first time must compile, the second must not")
	}
	files := cached(t)
	if len(files) != 1 || !strings.HasSuffix(files[0], ".cubin") {
		t.Fatalf("the cache has %v", files)
	}
	whole, err := os.ReadFile(files[0])
	must(t, err)
	for name, content := range map[string][]byte{
		"changed": append([]byte("X"), whole[1:]...), "cut": whole[:len(whole)-1], "tiny": whole[:5], "empty": nil,
	} {
		must(t, os.WriteFile(files[0], content, 0o600))
		if !loads(t, d, "store") {
			t.Errorf("%s: used", name)
		}
		if got, _ := os.ReadFile(files[0]); string(got) != string(whole) {
			t.Errorf("%s: not replaced", name)
		}
	}
	// The driver may refuse what once was right.
	d.fail("cuModuleLoadDataEx", 1, driver.CodeNoBinaryForGPU)
	if !loads(t, d, "store") || loads(t, d, "store") {
		t.Error("refused code must be compiled again, and kept")
	}
	for what, v := range map[string]int{"version": 13010, "minor": 1} {
		d.set(what, v)
		if !loads(t, d, "store") {
			t.Errorf("another %s: the code was used", what)
		}
	}
	if !loads(t, d, "idle") {
		t.Error("another text: the code was used")
	}
	if n := len(cached(t)); n != 4 {
		t.Errorf("%d files", n)
	}
}

// TestCubinCacheUnwritable loads where nothing can be kept.
func TestCubinCacheUnwritable(t *testing.T) {
	d := newDouble(t)
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	t.Setenv("SANDWARP_CACHE", file) // no folder can be made in it
	if !loads(t, d, "store") || !loads(t, d, "store") {
		t.Error("used")
	}
}

func TestCubinCacheEviction(t *testing.T) {
	t.Setenv("SANDWARP_CACHE", t.TempDir())
	k := openCubinCache("scope")
	k.most = 1000
	for i, key := range []string{"aa", "bb", "cc"} {
		k.write(key, make([]byte, 300))
		old := time.Now().Add(time.Duration(i-10) * time.Minute)
		must(t, os.Chtimes(k.path(key), old, old))
	}
	if k.read("aa") == nil { // now the last used
		t.Fatal("not kept")
	}
	stale, fresh := filepath.Join(k.dir, "new-1"), filepath.Join(k.dir, "new-2")
	must(t, os.WriteFile(stale, nil, 0o600))
	must(t, os.WriteFile(fresh, nil, 0o600))
	must(t, os.Chtimes(stale, time.Now(), time.Now().Add(-2*staleAfter)))
	k.write("dd", make([]byte, 300))
	var got []string
	for _, f := range cached(t) {
		got = append(got, filepath.Base(f))
	}
	if s := strings.Join(got, " "); s != "aa.cubin cc.cubin dd.cubin new-2" {
		t.Errorf("left: %s", s)
	}
	k.write("ee", make([]byte, 5000)) // larger than all may be: it alone stays
	if got := len(cached(t)); got != 2 {
		t.Errorf("%d files are left: %v", got, cached(t))
	}
}

func TestCubinCacheFolder(t *testing.T) {
	t.Setenv("SANDWARP_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	if k := openCubinCache(""); k == nil || k.dir != "/somewhere/sandwarp/cubin" {
		t.Errorf("folder %+v", k)
	}
	t.Setenv("SANDWARP_CACHE", "off")
	if k := openCubinCache(""); k != nil {
		t.Errorf("off: %+v", k)
	}
}

func TestOffending(t *testing.T) {
	source := moduleOf(kernel("first"), kernel("second")).String()
	for log, want := range map[string]string{
		"":                             "",
		"ptxas fatal : no line":        "",
		"line 999; error":              "",
		"line 0; error":                "",
		"input, line 1; error : x":     "line 1: .version 7.4",
		"line 99999999999999999999999": "",
	} {
		if got := offending(source, log); got != want {
			t.Errorf("%q: got %q, want %q", log, got, want)
		}
	}
	if got := offending(source, "line 19; error"); !strings.Contains(got, "of kernel second") {
		t.Errorf("got %q", got)
	}
}
