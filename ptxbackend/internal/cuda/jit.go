package cuda

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Numbers of CUjit_option, and of CUjitInputType.
const (
	jitInfoLog      = 3
	jitInfoLogSize  = 4
	jitErrorLog     = 5
	jitErrorLogSize = 6
	jitTarget       = 9
	jitVerbose      = 12

	jitInputPTX = 1

	// jitAccelerated makes 90 the target sm_90a (CU_COMPUTE_ACCELERATED_TARGET_BASE).
	jitAccelerated = 0x10000
)

// jit is what a compilation reads and writes, outside the Go heap; the image to
// load follows it.
type jit struct {
	values      [6]uintptr // option values: numbers by value, buffers by address
	options     [6]uint32
	info, fault [32 << 10]byte // logs
}

// newJIT returns a jit with an image after it, and all of its memory.
func newJIT(image []byte) (j *jit, at uintptr, mem []byte, err error) {
	head := int(unsafe.Sizeof(jit{}))
	mem, err = mapMemory(head + len(image) + 1) // text ends with a zero byte
	if err != nil {
		return nil, 0, nil, err
	}
	copy(mem[head:], image)
	return (*jit)(unsafe.Pointer(unsafe.SliceData(mem))), address(mem[head:]), mem, nil
}

// set writes the options and returns their number; target 0 leaves it to the context.
func (j *jit) set(target uintptr) (n, options, values uintptr) {
	clear(j.info[:])
	clear(j.fault[:])
	for i, o := range []struct {
		id    uint32
		value uintptr
	}{
		{jitInfoLog, uintptr(unsafe.Pointer(&j.info[0]))}, {jitInfoLogSize, uintptr(len(j.info))},
		{jitErrorLog, uintptr(unsafe.Pointer(&j.fault[0]))}, {jitErrorLogSize, uintptr(len(j.fault))},
		{jitVerbose, 1}, {jitTarget, target},
	} {
		j.options[i], j.values[i] = o.id, o.value
	}
	n = uintptr(len(j.options))
	if target == 0 {
		n--
	}
	return n, uintptr(unsafe.Pointer(&j.options[0])), uintptr(unsafe.Pointer(&j.values[0]))
}

// log is what the compiler wrote, errors first.
func (j *jit) log() string {
	return strings.TrimSpace(text(j.fault[:]) + "\n" + text(j.info[:]))
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.TrimSpace(s)
}

// compile turns text into a loaded module: from the cache, else by the driver's
// compiler and then into the cache, else by the driver's compiler alone.
func (d *device) compile(c *caller, source string, t ptx.Target, name string) (uintptr, error) {
	if d.cubins != nil {
		key := d.cubins.key(source)
		if cubin := d.cubins.read(key); cubin != nil {
			if m, err := c.load(cubin); err == nil || errors.Is(err, driver.ErrNoMemory) || errors.Is(err, driver.ErrLost) {
				return m, c.explainMemory(err, name)
			}
			d.cubins.remove(key)
		}
		if m, cubin, err := c.link(source, d.jitTarget(t)); err == nil {
			d.cubins.write(key, cubin)
			return m, nil
		}
		// What the linker does not take, the loader may: it decides.
	}
	j, image, mem, err := newJIT([]byte(source))
	if err != nil {
		return 0, err
	}
	defer unmapMemory(mem)
	n, options, values := j.set(0)
	if err := c.call(fnModuleLoadDataEx, c.out(0), image, n, options, values); err != nil {
		return 0, c.compileError(err, source, t, name, j.log())
	}
	return uintptr(c.f.out[0]), nil
}

// jitTarget is the CUjit_target of a module: the device's own, with its special
// instructions where the module uses them.
func (d *device) jitTarget(t ptx.Target) uintptr {
	if _, _, exact := archOf(t.Arch); exact {
		return jitAccelerated + uintptr(10*d.info.Major+d.info.Minor)
	}
	return 0
}

// load loads compiled code.
func (c *caller) load(cubin []byte) (uintptr, error) {
	j, image, mem, err := newJIT(cubin)
	if err != nil {
		return 0, err
	}
	defer unmapMemory(mem)
	n, options, values := j.set(0)
	if err := c.call(fnModuleLoadDataEx, c.out(0), image, n, options, values); err != nil {
		return 0, err
	}
	return uintptr(c.f.out[0]), nil
}

// link compiles text, loads the code and returns it, too: the loader alone keeps
// it to itself.
func (c *caller) link(source string, target uintptr) (module uintptr, cubin []byte, err error) {
	j, image, mem, err := newJIT([]byte(source))
	if err != nil {
		return 0, nil, err
	}
	defer unmapMemory(mem) // after the linker is destroyed, which writes to it
	n, options, values := j.set(target)
	if err := c.call(fnLinkCreate, n, options, values, c.out(0)); err != nil {
		return 0, nil, err
	}
	state := uintptr(c.f.out[0])
	defer func() { _ = c.call(fnLinkDestroy, state) }() // the code is there by then
	if err := c.call(fnLinkAddData, state, jitInputPTX, image, uintptr(len(source)+1), 0, 0, 0, 0); err != nil {
		return 0, nil, err
	}
	if err := c.call(fnLinkComplete, state, c.ptr(), c.out(1)); err != nil {
		return 0, nil, err
	}
	size := c.f.out[1]
	if c.f.ptr == nil || size == 0 || size > maxCubin {
		return 0, nil, fmt.Errorf("cuda: the linker returned %d bytes of code", size)
	}
	cubin = append(cubin, unsafe.Slice((*byte)(c.f.ptr), size)...) // the linker's own goes with it
	module, err = c.load(cubin)
	return module, cubin, err
}

// explainMemory adds how much memory was free, if that is the reason.
func (c *caller) explainMemory(err error, name string) error {
	if !errors.Is(err, driver.ErrNoMemory) {
		return err
	}
	free, total, e := c.memory()
	if e != nil {
		return explain(err, "loading %s", name)
	}
	return explain(err, "loading %s, %s of %s are free", name, mib(free), mib(total))
}

// compileError says why a text does not become a module, and what to do.
func (c *caller) compileError(err error, source string, t ptx.Target, name, log string) error {
	e, ok := err.(*driver.Error)
	if !ok {
		return err
	}
	why := ""
	switch e.Code {
	case driver.CodeOutOfMemory:
		return c.explainMemory(err, name)
	case driver.CodeNoJITCompiler:
		why = "the driver's compiler, libnvidia-ptxjitcompiler.so.1 (nvptxJitCompiler64.dll on Windows), is missing; it comes with the driver: " +
			"package libnvidia-ptxjitcompiler1 on Debian, libnvidia-compute-NNN on Ubuntu, nvidia-driver-cuda-libs on Fedora and Red Hat; " +
			"in a container NVIDIA_DRIVER_CAPABILITIES must contain compute"
	case driver.CodeUnsupportedPTX:
		why = c.lib.tooOld(t.Version)
	case driver.CodeNoBinaryForGPU:
		why = "code for " + t.Arch + " does not run on this GPU"
	case driver.CodeInvalidPTX, driver.CodeInvalidImage:
		why = "the driver's compiler refused the text"
	}
	detail := name
	if why != "" {
		detail += ": " + why
	}
	if line := offending(source, log); line != "" {
		detail += "\n" + line
	}
	if log != "" {
		detail += "\n" + log
	}
	return explain(err, "%s", detail)
}

var logLine = regexp.MustCompile(`\bline (\d+)`)

// offending is the first line of the text the log complains about, with the
// kernel it is in.
func offending(source, log string) string {
	m := logLine.FindStringSubmatch(log)
	if m == nil {
		return ""
	}
	n, _ := strconv.Atoi(m[1])
	lines := strings.Split(source, "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	in := ""
	for i := n - 1; i >= 0; i-- {
		if _, rest, found := strings.Cut(lines[i], ".entry "); found {
			name, _, _ := strings.Cut(rest, "(")
			in = " of kernel " + name
			break
		}
	}
	return fmt.Sprintf("line %d%s: %s", n, in, strings.TrimSpace(lines[n-1]))
}
