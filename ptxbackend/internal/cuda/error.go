package cuda

import (
	"fmt"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Codes of CUresult only this package needs.
const (
	codeDeinitialized    = 4
	codeContextActive    = 708 // CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE
	codeInvalidHandle    = 400
	codeNotReady         = 600
	codeNotSupported     = 801
	codeUnavailable      = 46
	codeOperatingSystem  = 304
	codeCaptureViolation = 900
	codeCaptureInvalid   = 901
)

// advices say what to do about a code, where that is known wherever it appears.
var advices = map[int]string{
	driver.CodeInvalidContext:      "no context is current on this thread: call between Enter and Leave",
	driver.CodeNoDevice:            "the driver sees no GPU; look at nvidia-smi, at CUDA_VISIBLE_DEVICES, and in a container at --gpus",
	driver.CodeNotInitialized:      "the driver could not be initialised; look at nvidia-smi and at the access to /dev/nvidia*",
	driver.CodeSystemNotReady:      "the GPUs' fabric is not up; start nvidia-fabricmanager, of the driver's own version, and wait until nvidia-smi shows the fabric as completed",
	driver.CodeECCUncorrectable:    "the GPU's memory had an error it could not correct; restart the process, and look at nvidia-smi -q -d ECC",
	driver.CodeIllegalAddress:      "a kernel read or wrote outside of its memory",
	driver.CodeLaunchResources:     "the kernel asks for more registers, threads or shared memory than a block may have",
	driver.CodeLaunchTimeout:       "the kernel ran longer than the display's watchdog allows; use a GPU without a display",
	driver.CodeMisalignedAddress:   "a kernel read or wrote at an address that is not a multiple of the size",
	driver.CodeIllegalInstruction:  "a kernel met an instruction the GPU does not have",
	driver.CodeLaunchFailed:        "a kernel failed on the GPU",
	driver.CodeUnknown:             "the driver does not say why; look at dmesg for Xid or NVRM lines (after a suspend, reload nvidia_uvm)",
	driver.CodeNVLinkUncorrectable: "an NVLink connection had an error it could not correct",
	driver.CodeStubLibrary:         "this is the toolkit's stub to link against, not the driver; take its folder out of LD_LIBRARY_PATH",
	codeUnavailable:                "another process has the GPU for itself (nvidia-smi shows its compute mode)",
	codeOperatingSystem:            "the operating system refused; look at the access to /dev/nvidia*",
	driver.CodeDriverMismatch:      "the driver's kernel module and its libraries are of different versions; reboot, or reload the module",
	driver.CodeCompat:              "the forward-compatibility libraries do not work with this GPU; take them out of LD_LIBRARY_PATH",
	codeCaptureViolation:           "this cannot be recorded into a graph",
	codeCaptureInvalid:             "something that cannot be recorded into a graph came before",
}

// advice is what to do about a code, "" where there is nothing to say.
func advice(code int) string { return advices[code] }

// errorName is the driver's name for a CUresult.
func (c *caller) errorName(code int) string {
	if c.raw(fnGetErrorName, uintptr(uint32(code)), c.ptr()) != 0 || c.f.ptr == nil {
		return "CUDA error"
	}
	return goString(c.f.ptr)
}

// goString copies a C string of at most 255 bytes.
func goString(p unsafe.Pointer) string {
	n := 0
	for n < 255 && *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// explain adds to an error of the driver what the caller knows of it.
func explain(err error, format string, args ...any) error {
	e, ok := err.(*driver.Error)
	if !ok {
		return err
	}
	more := fmt.Sprintf(format, args...)
	if e.Detail != "" {
		more += "; " + e.Detail
	}
	return &driver.Error{Op: e.Op, Code: e.Code, Name: e.Name, Detail: more}
}

// misuse is an error of the caller that the driver is not bothered with.
func misuse(op string, code int, name, format string, args ...any) error {
	return &driver.Error{Op: op, Code: code, Name: name, Detail: fmt.Sprintf(format, args...)}
}

func invalid(op, format string, args ...any) error {
	return misuse(op, driver.CodeInvalidValue, "CUDA_ERROR_INVALID_VALUE", format, args...)
}

// closedError says that a thing was used after its Close.
func closedError(op, thing string) error {
	return misuse(op, codeInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "the %s was closed", thing)
}

// mib writes bytes for people.
func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
