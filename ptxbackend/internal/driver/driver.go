// Package driver is what the PTX backend asks of a GPU: memory, modules, streams
// and graphs, as the CUDA driver has them. Package cuda fulfils it with the real
// driver, package emu by interpreting the kernels, and package fake, for tests, by
// failing as told.
//
// Rules
//
//  1. Between Device.Enter and Device.Leave a goroutine is tied to its thread and
//     may call the device's methods and those of what it made. Different
//     goroutines may do so at once; one Stream belongs to one goroutine at a time.
//  2. The work of a Stream happens in order and asynchronously. Its errors are
//     returned by a later call, at the latest by Sync, and are sticky: after one
//     that is ErrLost nothing on the device works any more.
//  3. Launch, Replay, the copies and Sync allocate nothing.
package driver

import (
	"errors"
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Ptr is an address in device memory.
type Ptr uint64

// Driver finds devices.
type Driver interface {
	// Version is the newest CUDA version the driver knows, major*1000+minor*10,
	// and the newest PTX version it compiles, major*10+minor.
	Version() (cuda, isa int)
	// Devices lists what is there; none is no error.
	Devices() ([]Info, error)
	Open(ordinal int) (Device, error)
}

// About describes a driver in a line: "CUDA 13.0, PTX 9.0".
func About(d Driver) string {
	cuda, isa := d.Version()
	return fmt.Sprintf("CUDA %d.%d, PTX %d.%d", cuda/1000, cuda%1000/10, isa/10, isa%10)
}

// Info describes a device.
type Info struct {
	Ordinal        int
	Name           string
	UUID           string
	Major, Minor   int   // compute capability
	SMs            int   // multiprocessors
	Memory         int64 // bytes in all
	L2             int   // bytes
	SharedPerBlock int   // bytes a block may have when asked for (SetShared)
	SharedPerSM    int
	ClockKHz       int
	MemoryClockKHz int
	BusBits        int
}

// Target is what kernels for it are written for. What is written for sm_90a runs on
// nothing else.
func (i Info) Target() ptx.Target {
	if i.Major == 9 && i.Minor == 0 {
		return ptx.SM90a
	}
	return ptx.SM80
}

// Bandwidth is what the memory's clock and bus give in bytes a second, two
// transfers a clock; programs reach about nine tenths.
func (i Info) Bandwidth() float64 { return 2e3 * float64(i.MemoryClockKHz) * float64(i.BusBits) / 8 }

// Arch is the architecture compiled code is for, "sm_90".
func (i Info) Arch() string { return fmt.Sprintf("sm_%d", 10*i.Major+i.Minor) }

// String describes the device in a line.
func (i Info) String() string {
	return fmt.Sprintf("%s, %s, %d multiprocessors, %.1f GiB at %.0f GB/s", i.Name, i.Arch(), i.SMs, float64(i.Memory)/(1<<30), i.Bandwidth()/1e9)
}

// Device is an open device.
type Device interface {
	Info() Info
	// Enter ties the goroutine to its thread and makes the device current there;
	// Leave undoes that. They nest.
	Enter() error
	Leave()
	// Memory is how many bytes are free, and how many there are.
	Memory() (free, total int64, err error)
	// Alloc returns memory, aligned to 256 bytes, with unspecified content.
	Alloc(bytes int64) (Ptr, error)
	Free(Ptr) error
	// HostAlloc returns page-locked memory outside the Go heap.
	HostAlloc(bytes int) ([]byte, error)
	HostFree([]byte) error
	// Load compiles a module's text.
	Load(m *ptx.Module) (Module, error)
	NewStream() (Stream, error)
	NewEvent() (Event, error)
	// Close gives everything back that was made with the device.
	Close() error
}

// Module is compiled code.
type Module interface {
	// Function finds a kernel of the module.
	Function(k *ptx.Kernel) (Function, error)
	Unload() error
}

// Function is a compiled kernel.
type Function interface {
	// Resources is what the compiler says of it.
	Resources() Resources
	// SetShared allows launches with up to bytes of dynamic shared memory; needed
	// above 48 KiB in all.
	SetShared(bytes int) error
	// Blocks is how many blocks of threads with dynamic shared memory fit a
	// multiprocessor at once.
	Blocks(threads, shared int) (int, error)
}

// Resources are what a kernel takes.
type Resources struct {
	Registers int // a thread
	Shared    int // bytes a block, declared
	Local     int // bytes a thread, spilled registers among them
}

// Launch says how to run a Function.
type Launch struct {
	Grid, Block [3]uint32 // zeroes count as 1
	Shared      int       // bytes of dynamic shared memory
	Params      []byte    // laid out as ptx.Kernel.ParamOffsets says; copied
	// Dependent lets it start before the launch before it on the stream is
	// complete, up to its griddepcontrol.wait (compute capability 9.0).
	Dependent bool
}

// Stream is a queue of work.
type Stream interface {
	Launch(f Function, l *Launch) error
	// CopyIn and CopyOut return before the copy is done where the host side is
	// from HostAlloc, which must then stay as it is until Sync.
	CopyIn(dst Ptr, src []byte) error
	CopyOut(dst []byte, src Ptr) error
	Copy(dst, src Ptr, bytes int64) error
	Fill(dst Ptr, value byte, bytes int64) error
	// BeginCapture records what follows instead of doing it, until EndCapture.
	BeginCapture() error
	EndCapture() (Graph, error)
	Replay(g Graph) error
	Record(e Event) error
	// Wait makes what follows wait for an event another stream recorded.
	Wait(e Event) error
	Sync() error
	Close() error
}

// Graph is recorded work.
type Graph interface{ Close() error }

// Event is a moment in a stream.
type Event interface {
	// Since is the time between two recorded events in milliseconds, once both
	// have happened.
	Since(earlier Event) (float32, error)
	// Sync waits until it has happened.
	Sync() error
	Close() error
}

// What callers branch on; errors of this package are *Error and match them.
var (
	ErrNoDriver = errors.New("there is no usable NVIDIA driver")
	ErrNoMemory = errors.New("out of device memory")
	ErrLost     = errors.New("the device was lost")
)

// Error is a failure the driver reported.
type Error struct {
	Op     string // "cuModuleLoadDataEx"
	Code   int    // CUresult
	Name   string // "CUDA_ERROR_INVALID_PTX"
	Detail string // what to do, or the compiler's log
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%d)", e.Op, e.Name, e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Codes of CUresult the backend and its tests know by name.
const (
	CodeInvalidValue       = 1
	CodeOutOfMemory        = 2
	CodeNotInitialized     = 3
	CodeNoDevice           = 100
	CodeInvalidDevice      = 101
	CodeInvalidImage       = 200
	CodeInvalidContext     = 201
	CodeNoBinaryForGPU     = 209
	CodeECCUncorrectable   = 214
	CodeInvalidPTX         = 218
	CodeNoJITCompiler      = 221
	CodeUnsupportedPTX     = 222
	CodeNotFound           = 500
	CodeIllegalAddress     = 700
	CodeLaunchResources    = 701
	CodeLaunchTimeout      = 702
	CodeMisalignedAddress  = 716
	CodeIllegalInstruction = 715
	CodeAssert             = 710
	CodeLaunchFailed       = 719
	CodeSystemNotReady     = 802
	CodeUnknown            = 999

	CodeStubLibrary         = 34
	CodeNVLinkUncorrectable = 220
	CodeContained           = 226
	CodeContextDestroyed    = 709
	CodeHardwareStack       = 714
	CodeAddressSpace        = 717
	CodeInvalidPC           = 718
	CodeDriverMismatch      = 803
	CodeCompat              = 804
)

// Is makes errors.Is(err, ErrNoMemory) and the like work.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNoMemory:
		return e.Code == CodeOutOfMemory
	case ErrNoDriver:
		switch e.Code {
		case CodeNotInitialized, CodeNoDevice, CodeSystemNotReady, CodeStubLibrary, CodeDriverMismatch, CodeCompat:
			return true
		}
	case ErrLost:
		switch e.Code {
		case CodeInvalidContext, CodeECCUncorrectable, CodeNVLinkUncorrectable, CodeContained, CodeIllegalAddress, CodeLaunchTimeout,
			CodeContextDestroyed, CodeAssert, CodeHardwareStack, CodeIllegalInstruction, CodeMisalignedAddress, CodeAddressSpace,
			CodeInvalidPC, CodeLaunchFailed, CodeUnknown:
			return true
		}
	}
	return false
}
