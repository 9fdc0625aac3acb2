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

// Numbers of CUjit_option.
const (
	jitInfoLog      = 3
	jitInfoLogSize  = 4
	jitErrorLog     = 5
	jitErrorLogSize = 6
	jitVerbose      = 12
)

// jit is what a compilation reads and writes, outside the Go heap; the text follows
// it.
type jit struct {
	values      [5]uintptr // option values: numbers by value, buffers by address
	options     [5]uint32
	info, fault [32 << 10]byte // logs
}

// newJIT returns a jit, where its text is, and all of the memory.
func newJIT(source string) (j *jit, at uintptr, mem []byte, err error) {
	head := int(unsafe.Sizeof(jit{}))
	mem, err = mapMemory(head + len(source) + 1) // text ends with a zero byte
	if err != nil {
		return nil, 0, nil, err
	}
	copy(mem[head:], source)
	return (*jit)(unsafe.Pointer(unsafe.SliceData(mem))), address(mem[head:]), mem, nil
}

// set writes the options and returns their number and where they are.
func (j *jit) set(verbose bool) (n, options, values uintptr) {
	clear(j.info[:])
	clear(j.fault[:])
	for i, o := range []struct {
		id    uint32
		value uintptr
	}{
		{jitInfoLog, uintptr(unsafe.Pointer(&j.info[0]))}, {jitInfoLogSize, uintptr(len(j.info))},
		{jitErrorLog, uintptr(unsafe.Pointer(&j.fault[0]))}, {jitErrorLogSize, uintptr(len(j.fault))},
		{jitVerbose, 1},
	} {
		j.options[i], j.values[i] = o.id, o.value
	}
	n = uintptr(len(j.options))
	if !verbose {
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

// compile turns text into a loaded module. The driver keeps compiled code, so the
// compiler is asked to talk only after it failed.
func (c *caller) compile(source string, t ptx.Target, name string) (uintptr, error) {
	j, image, mem, err := newJIT(source)
	if err != nil {
		return 0, err
	}
	defer unmapMemory(mem)
	err = c.load(j, image, false)
	if e, ok := err.(*driver.Error); ok && e.Code == driver.CodeInvalidPTX {
		err = c.load(j, image, true)
	}
	if err != nil {
		return 0, c.compileError(err, source, t, name, j.log())
	}
	return uintptr(c.f.out[0]), nil
}

func (c *caller) load(j *jit, image uintptr, verbose bool) error {
	n, options, values := j.set(verbose)
	return c.call(fnModuleLoadDataEx, c.out(0), image, n, options, values)
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
