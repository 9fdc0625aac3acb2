// Package cuda is the driver.Driver of NVIDIA's own driver: libcuda.so.1 or
// nvcuda.dll, opened when asked for. No toolkit, no cgo. It works on Linux and
// Windows, amd64 and arm64; elsewhere Open says that there is no GPU.
//
// Everything the driver is given to read or write lies outside the Go heap: a
// goroutine's stack moves, and what a stream does it does later.
//
// Environment
//
//	SANDWARP_CUDA_LIBRARY  the library to open instead
//	SANDWARP_CUDA_SYNC=1   wait after every launch, and name the kernel that failed
//	SANDWARP_CUDA_WAIT     spin (the default), yield or block while waiting
//	SANDWARP_CACHE         folder for compiled kernels and the like; off for none.
//	                       CUDA_CACHE_PATH and CUDA_CACHE_DISABLE go before it
package cuda

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// symbol numbers a function of the library.
type symbol int

const (
	fnInit symbol = iota
	fnDriverGetVersion
	fnGetErrorName
	fnDeviceGetCount
	fnDeviceGet
	fnDeviceGetName
	fnDeviceGetUUID
	fnDeviceGetAttribute
	fnDeviceTotalMem
	fnPrimaryCtxRetain
	fnPrimaryCtxRelease
	fnPrimaryCtxSetFlags
	fnCtxGetCurrent
	fnCtxSetCurrent
	fnCtxSynchronize
	fnMemGetInfo
	fnMemAlloc
	fnMemFree
	fnMemHostAlloc
	fnMemFreeHost
	fnMemcpyHtoDAsync
	fnMemcpyDtoHAsync
	fnMemcpyDtoDAsync
	fnMemsetD8Async
	fnModuleLoadDataEx
	fnModuleUnload
	fnModuleGetFunction
	fnFuncGetAttribute
	fnFuncSetAttribute
	fnOccupancy
	fnLaunchKernel
	fnLaunchKernelEx
	fnStreamCreate
	fnStreamDestroy
	fnStreamSynchronize
	fnStreamWaitEvent
	fnStreamBeginCapture
	fnStreamEndCapture
	fnGraphInstantiate
	fnGraphUpload
	fnGraphLaunch
	fnGraphDestroy
	fnGraphExecDestroy
	fnEventCreate
	fnEventDestroy
	fnEventRecord
	fnEventSynchronize
	fnEventElapsedTime
	symbols // how many there are
)

// symbolNames are the names the library exports. The suffixes are part of them:
// the header of the toolkit maps the plain names to these.
var symbolNames = [symbols]string{
	"cuInit", "cuDriverGetVersion", "cuGetErrorName",
	"cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetUuid_v2", "cuDeviceGetAttribute", "cuDeviceTotalMem_v2",
	"cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuDevicePrimaryCtxSetFlags_v2",
	"cuCtxGetCurrent", "cuCtxSetCurrent", "cuCtxSynchronize",
	"cuMemGetInfo_v2", "cuMemAlloc_v2", "cuMemFree_v2", "cuMemHostAlloc", "cuMemFreeHost",
	"cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2", "cuMemsetD8Async",
	"cuModuleLoadDataEx", "cuModuleUnload", "cuModuleGetFunction",
	"cuFuncGetAttribute", "cuFuncSetAttribute", "cuOccupancyMaxActiveBlocksPerMultiprocessor",
	"cuLaunchKernel", "cuLaunchKernelEx",
	"cuStreamCreate", "cuStreamDestroy_v2", "cuStreamSynchronize", "cuStreamWaitEvent",
	"cuStreamBeginCapture_v2", "cuStreamEndCapture",
	"cuGraphInstantiateWithFlags", "cuGraphUpload", "cuGraphLaunch", "cuGraphDestroy", "cuGraphExecDestroy",
	"cuEventCreate", "cuEventDestroy_v2", "cuEventRecord", "cuEventSynchronize", "cuEventElapsedTime",
}

// String is the function's name in the documentation.
func (s symbol) String() string { return strings.TrimSuffix(symbolNames[s], "_v2") }

// oldest is the oldest driver all functions but cuLaunchKernelEx (11.8) are in.
const oldest = 11040

// library is the opened driver library, which stays open.
type library struct {
	path    string
	fn      [symbols]uintptr
	version int    // newest CUDA version it knows, major*1000+minor*10
	build   string // the driver's own version, "580.65.06", where it is known

	mu      sync.Mutex // guards what follows
	callers []*caller  // not in use
	threads map[int]*thread
	retired map[uintptr]bool // contexts that are no more
	opened  map[uintptr]int  // contexts in use, and by how many devices
}

// opened are the libraries that were started. A process has one, whoever opens it:
// it keeps book of the contexts on the process's threads.
var opened = struct {
	sync.Mutex
	by map[uintptr]*library // handle of the loader
}{by: map[uintptr]*library{}}

// Open opens the driver. An error matches driver.ErrNoDriver, and says what is
// missing. The Driver may be used from several goroutines.
func Open() (driver.Driver, error) {
	paths := libraryPaths
	if p := os.Getenv("SANDWARP_CUDA_LIBRARY"); p != "" {
		paths = []string{p}
	}
	handle, path, err := openLibrary(paths)
	if err != nil {
		return nil, noDriver("%v", err)
	}
	opened.Lock()
	defer opened.Unlock()
	if l := opened.by[handle]; l != nil {
		return l, nil
	}
	l := &library{path: path, build: driverBuild(), threads: map[int]*thread{}, retired: map[uintptr]bool{}, opened: map[uintptr]int{}}
	var missing []string
	for i, name := range symbolNames {
		if l.fn[i] = findSymbol(handle, name); l.fn[i] == 0 && symbol(i) != fnLaunchKernelEx {
			missing = append(missing, name)
		}
	}
	if l.fn[fnInit] == 0 || l.fn[fnDriverGetVersion] == 0 || l.fn[fnGetErrorName] == 0 {
		return nil, noDriver("%s lacks %s: it is no CUDA driver", path, missing[0])
	}
	if err := l.start(missing); err != nil {
		return nil, err
	}
	opened.by[handle] = l
	return l, nil
}

// start initialises the driver and looks at how old it is.
func (l *library) start(missing []string) error {
	c, err := l.caller(nil)
	if err != nil {
		return err
	}
	defer c.release()
	keepCompiled()
	if err := c.call(fnInit, 0); err != nil {
		return fmt.Errorf("cuda: %w: %w", driver.ErrNoDriver, err)
	}
	if err := c.call(fnDriverGetVersion, c.out(0)); err != nil {
		return fmt.Errorf("cuda: %w: %w", driver.ErrNoDriver, err)
	}
	l.version = int(int32(c.f.out[0]))
	if len(missing) > 0 || l.version < oldest {
		lacks := ""
		if len(missing) > 0 {
			lacks = ", and " + l.path + " lacks " + strings.Join(missing, ", ")
		}
		return noDriver("the driver %sis for CUDA %s%s; update it to one for CUDA %s or newer",
			pad(l.build), cudaName(l.version), lacks, cudaName(oldest))
	}
	return nil
}

// noDriver is an error that matches driver.ErrNoDriver.
func noDriver(format string, args ...any) error {
	return fmt.Errorf("cuda: %w: %s", driver.ErrNoDriver, fmt.Sprintf(format, args...))
}

// Version is the newest CUDA and PTX versions the driver knows.
func (l *library) Version() (cuda, isa int) { return l.version, isaOf(l.version) }

// isas says which PTX version came with which CUDA version (PTX ISA, release
// history). PTX written for an older version always compiles.
var isas = []struct{ cuda, isa int }{
	{11040, 74}, {11050, 75}, {11060, 76}, {11070, 77}, {11080, 78},
	{12000, 80}, {12010, 81}, {12020, 82}, {12030, 83}, {12040, 84}, {12050, 85}, {12070, 86}, {12080, 87}, {12090, 88},
	{13000, 90}, {13010, 91}, {13020, 92}, {13030, 93}, {13040, 94}, {13050, 95},
}

// isaOf is the newest PTX version a driver for a CUDA version surely compiles.
func isaOf(cuda int) int {
	isa := 0
	for _, v := range isas {
		if v.cuda <= cuda {
			isa = v.isa
		}
	}
	return isa
}

// cudaOf is the first CUDA version that has a PTX version, 0 if unknown.
func cudaOf(isa int) int {
	for _, v := range isas {
		if v.isa >= isa {
			return v.cuda
		}
	}
	return 0
}

// cudaName writes 12040 as 12.4.
func cudaName(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// driverName is what messages call the driver.
func (l *library) driverName() string {
	return fmt.Sprintf("driver %s(CUDA %s)", pad(l.build), cudaName(l.version))
}

// pad is s with a space after it, if there is any.
func pad(s string) string { return strings.TrimLeft(cmp.Or(s, "")+" ", " ") }
