//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func TestFunction(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	f := load(t, dev, "store")
	d.has(t, "cuFuncSetAttribute 9 100")
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
		t.Run(c.name, func(t *testing.T) {
			d := newDouble(t)
			if c.set != nil {
				c.set(d)
			}
			_, dev := d.open(t)
			_, err := dev.Load(c.m)
			want(t, err, c.code, c.words...)
			if n := d.get("module"); n != 0 {
				t.Errorf("%d modules are left", n)
			}
		})
	}
}

// TestJITOptions checks the arrays as C reads them, quiet and after a failure.
func TestJITOptions(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	load(t, dev, "store")
	d.has(t, "cuModuleLoadDataEx text\noptions 3 4=32768 5 6=32768\n")
	bad := kernel("broken")
	bad.Body = []ptx.Instr{{Op: "bad.u32"}}
	d.clear()
	if _, err := dev.Load(moduleOf(bad)); err == nil {
		t.Error("compiled")
	}
	d.has(t, "options 3 4=32768 5 6=32768\n", "options 3 4=32768 5 6=32768 12=1\n")
}

// TestCompiledCode looks where the driver is told to keep compiled code.
func TestCompiledCode(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		name, cache, path, disable, want string
	}{
		{"named", dir, "", "", "path " + dir + "/cubin disable -"},
		{"usual", "", "", "", "path " + dir + "/home/sandwarp/cubin disable -"},
		{"off", "off", "", "", "path - disable 1"},
		{"said before", dir, "/elsewhere", "", "path /elsewhere disable -"},
		{"said before off", dir, "", "1", "path - disable 1"},
		{"impossible", file, "", "", "path - disable -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDouble(t)
			t.Setenv("SANDWARP_CACHE", c.cache)
			t.Setenv("XDG_CACHE_HOME", dir+"/home")
			for name, value := range map[string]string{"CUDA_CACHE_PATH": c.path, "CUDA_CACHE_DISABLE": c.disable} {
				t.Setenv(name, value)
				if value == "" {
					must(t, os.Unsetenv(name))
				}
			}
			d.open(t)
			d.has(t, "cuInit 0 "+c.want)
			if path, found := strings.CutPrefix(c.want, "path "+dir); found {
				path, _, _ = strings.Cut(path, " ")
				if info, err := os.Stat(dir + path); err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("the folder: %v, %v", info, err)
				}
			}
		})
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
