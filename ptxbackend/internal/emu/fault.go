package emu

import (
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Fault is a violation a kernel committed.
type Fault struct {
	Code   int // as the driver would report it, or CodeLaunchFailed where hardware would not notice
	Kernel string
	Index  int    // of the instruction in the kernel's body
	Text   string // of the instruction
	Where  string // the Go that wrote it
	Block  [3]uint32
	Warp   int
	Lane   int // -1 for the whole warp
	What   string
}

func (f *Fault) Error() string {
	lane := ""
	if f.Lane >= 0 {
		lane = fmt.Sprintf(", lane %d", f.Lane)
	}
	return fmt.Sprintf("kernel %s, instruction %d %q (%s), block (%d,%d,%d), warp %d%s: %s", f.Kernel, f.Index, f.Text, f.Where,
		f.Block[0], f.Block[1], f.Block[2], f.Warp, lane, f.What)
}

var codeNames = map[int]string{
	driver.CodeInvalidValue: "CUDA_ERROR_INVALID_VALUE", driver.CodeOutOfMemory: "CUDA_ERROR_OUT_OF_MEMORY",
	driver.CodeInvalidDevice: "CUDA_ERROR_INVALID_DEVICE", driver.CodeInvalidContext: "CUDA_ERROR_INVALID_CONTEXT",
	driver.CodeInvalidPTX: "CUDA_ERROR_INVALID_PTX", driver.CodeNotFound: "CUDA_ERROR_NOT_FOUND",
	driver.CodeNoBinaryForGPU: "CUDA_ERROR_NO_BINARY_FOR_GPU",
	driver.CodeIllegalAddress: "CUDA_ERROR_ILLEGAL_ADDRESS", driver.CodeLaunchResources: "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
	driver.CodeLaunchTimeout: "CUDA_ERROR_LAUNCH_TIMEOUT", driver.CodeMisalignedAddress: "CUDA_ERROR_MISALIGNED_ADDRESS",
	driver.CodeIllegalInstruction: "CUDA_ERROR_ILLEGAL_INSTRUCTION", driver.CodeLaunchFailed: "CUDA_ERROR_LAUNCH_FAILED",
}

func failure(op string, code int, format string, args ...any) *driver.Error {
	return &driver.Error{Op: op, Code: code, Name: codeNames[code], Detail: fmt.Sprintf(format, args...)}
}

// fault ends the launch: the current instruction of the warp did what it must not.
func (w *warp) fault(lane int, format string, args ...any) {
	w.faultCode(driver.CodeLaunchFailed, lane, format, args...)
}

func (w *warp) faultCode(code, lane int, format string, args ...any) {
	panic(w.newFault(code, lane, fmt.Sprintf(format, args...)))
}

func (w *warp) newFault(code, lane int, what string) *Fault {
	b := w.blk
	src := w.prog.code[b.at].src
	return &Fault{Code: code, Kernel: w.prog.kernel.Name, Index: int(b.at), Text: text(src), Where: src.Where,
		Block: b.ctaid, Warp: w.id, Lane: lane, What: what}
}

func (w *warp) regName(r int32) string {
	return ptx.Reg{Num: r, Type: w.prog.kernel.Regs[r-1]}.String()
}

// text is an instruction as it is printed.
func text(i *ptx.Instr) string {
	if i.Label != "" {
		return i.Label + ":"
	}
	var s strings.Builder
	if !i.Guard.IsZero() {
		not := ""
		if i.Not {
			not = "!"
		}
		fmt.Fprintf(&s, "@%s%v ", not, i.Guard)
	}
	s.WriteString(i.Op)
	for n := range i.Args {
		if n > 0 {
			s.WriteString(",")
		}
		s.WriteString(" " + argText(&i.Args[n]))
	}
	return s.String()
}

func argText(a *ptx.Arg) string {
	switch a.Kind {
	case ptx.ArgReg:
		if a.Not {
			return "!" + a.Reg.String()
		}
		return a.Reg.String()
	case ptx.ArgImm:
		return fmt.Sprintf("%#x", a.Imm)
	case ptx.ArgAddr:
		base := a.Sym
		if base == "" {
			base = a.Reg.String()
		}
		return fmt.Sprintf("[%s+%d]", base, a.Off)
	case ptx.ArgList:
		var l []string
		for i := range a.List {
			l = append(l, argText(&a.List[i]))
		}
		return "{" + strings.Join(l, ", ") + "}"
	}
	return a.Sym
}
