package emu

import (
	"encoding/binary"
	"math/bits"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// What an access to global memory is besides plain.
const (
	accessNC       = 1 << iota // ld.global.nc
	accessCoherent             // volatile, relaxed, acquire, release: whole, and seen by others
	accessNarrow               // goes to a wider register; signed if accessSigned
	accessSigned
	accessAtomic  // atom, red
	accessRelease // what this thread knows is known to who reads it,
	accessAcquire // or it learns what who wrote it knew
)

// global is size bytes of device memory at addr, for lane l; how it is accessed
// decides what is checked.
func (w *warp) global(in *instr, l int, addr uint64, size uint64, write bool) []byte {
	if addr&(size-1) != 0 {
		w.faultCode(driver.CodeMisalignedAddress, l, "global address %#x is not a multiple of %d", addr, size)
	}
	return w.globalRange(in, l, addr, size, write)
}

// globalRange is global without the alignment of one access.
func (w *warp) globalRange(in *instr, l int, addr uint64, size uint64, write bool) []byte {
	a := w.blk.wk.hit(in.site)
	off := uint64(0)
	if a != nil {
		off = addr - a.base
	}
	if a == nil || off >= uint64(len(a.mem)) || size > uint64(len(a.mem))-off {
		a = w.lookup(l, addr, size)
		off = addr - a.base
		w.blk.wk.setHit(in.site, a)
	}
	b := w.blk
	if write {
		b.wrote += size
		if b.l.dependent && w.waited>>l&1 == 0 {
			w.fault(l, "global memory at %#x is written before griddepcontrol.wait: the launch before may still use it", addr)
		}
		w.noteWrite(in, l, addr, a.words(), off, size)
	} else {
		b.read += size
		if s := a.wrote.Load(); s != nil {
			w.noteRead(in, l, addr, *s, off, size)
		}
	}
	return a.mem[off : off+size]
}

// lookup finds the allocation of an access in full.
func (w *warp) lookup(l int, addr, size uint64) *alloc {
	a := w.blk.dev.heap.find(addr)
	if a == nil {
		w.faultCode(driver.CodeIllegalAddress, l, "global address %#x is in no allocation", addr)
	}
	if n := uint64(len(a.mem)); size > n-(addr-a.base) {
		w.faultCode(driver.CodeIllegalAddress, l, "%d bytes at %#x pass the end of the allocation of %d bytes at %#x", size, addr, n, a.base)
	}
	return a
}

// sharedAt is the place of size bytes of shared memory at addr.
func (w *warp) sharedAt(l int, addr uint32, size uint32) uint32 {
	if size&(size-1) == 0 && addr&(size-1) != 0 {
		w.faultCode(driver.CodeMisalignedAddress, l, "shared address %#x is not a multiple of %d", addr, size)
	}
	return w.sharedRange(l, addr, size)
}

func (w *warp) sharedRange(l int, addr, size uint32) uint32 {
	at := addr - sharedBase
	if n := uint32(len(w.blk.shared)); addr < sharedBase || at >= n || size > n-at {
		w.faultCode(driver.CodeIllegalAddress, l, "%d bytes at shared address %#x: the block has [%#x, %#x)", size, addr, sharedBase, sharedBase+n)
	}
	return at
}

// decodeMemory decodes ld and st: op[.sem[.scope]].space[.cop][.hints][.vN].type.
func (c *compiler) decodeMemory() {
	in, store := c.in, c.op[0] == "st"
	space, n, t := c.memoryParts()
	in.size, in.n = int32(t.Bytes()), int32(n)
	if t.Signed() {
		in.hint |= accessSigned
	}
	if t.Bytes() == 0 || int(in.size)*n > 16 {
		c.fail("a vector of %d %v", n, t)
		return
	}
	if space == ptx.ParamSpace {
		c.decodeParam(t)
		return
	}
	addr, value := 1, 0
	if store {
		addr, value = 0, 1
	}
	in.a, in.off = c.address(addr, space)
	for _, r := range c.regs(value, n) {
		if store {
			c.storeValue(&r, t)
		} else {
			in.list = append(in.list, c.dest(&r, widths(t)...))
		}
	}
	in.imm = 0xFFFFFFFF
	if n == 1 && !store {
		in.imm = c.registerMask(0)
	}
	c.accessRun(space, store)
}

// accessRun is what executes an access to a space.
func (c *compiler) accessRun(space ptx.Space, store bool) {
	in := c.in
	switch {
	case space == ptx.Global:
		in.site = int32(c.p.sites)
		c.p.sites++
		in.run = runLoadGlobal
		if store {
			in.run = runStoreGlobal
		}
	case space == ptx.Const && !store:
		in.run = runLoadConst
	case space == ptx.Shared && store:
		in.run = runStoreShared
	case space == ptx.Shared:
		in.run = runLoadShared
	default:
		c.fail("generic addresses are not emulated: name the state space")
	}
}

// memoryParts reads the modifiers of ld and st into in.hint and what it returns.
func (c *compiler) memoryParts() (space ptx.Space, n int, t ptx.Type) {
	in := c.in
	n = 1
	for _, s := range c.op[1:] {
		switch s {
		case "global":
			space = ptx.Global
		case "shared", "shared::cta":
			space = ptx.Shared
		case "const":
			space = ptx.Const
		case "param":
			space = ptx.ParamSpace
		case "nc":
			in.hint |= accessNC
		case "volatile", "relaxed":
			in.hint |= accessCoherent
		case "acquire":
			in.hint |= accessCoherent | accessAcquire
		case "release":
			in.hint |= accessCoherent | accessRelease
		case "v2":
			n = 2
		case "v4":
			n = 4
		default:
			x, ok := ptx.ParseType(s)
			if ok {
				t = x
			} else if !cacheHints[s] {
				c.fail("modifier .%s is not emulated", s)
			}
		}
	}
	return space, n, t
}

// cacheHints change nothing here.
var cacheHints = map[string]bool{"weak": true, "gpu": true, "cta": true, "sys": true, "ca": true, "cg": true, "cs": true, "cv": true,
	"wb": true, "wt": true, "lu": true, "L1::no_allocate": true, "L1::evict_first": true, "L1::evict_last": true,
	"L1::evict_normal": true, "L1::evict_unchanged": true, "L2::64B": true, "L2::128B": true, "L2::256B": true}

// widths are the sizes a register may have that holds a t.
func widths(t ptx.Type) []int {
	switch t.Bytes() {
	case 1:
		return []int{2, 4}
	default:
		return []int{t.Bytes()}
	}
}

func (c *compiler) storeValue(r *ptx.Arg, t ptx.Type) {
	if t.Bytes() == 8 {
		c.in.list = append(c.in.list, c.source64(r))
		return
	}
	if r.Kind == ptx.ArgReg && t.Bytes() == 4 && r.Reg.Type.Bytes() != 4 || t.Bytes() == 2 && r.Kind == ptx.ArgReg && r.Reg.Type.Bytes() != 2 {
		c.fail("%v is stored as %v", r.Reg, t)
	}
	c.in.list = append(c.in.list, c.source32(r))
}

func (c *compiler) decodeParam(t ptx.Type) {
	a := c.arg(1)
	at, ok := c.params[a.Sym]
	if !ok || a.Kind != ptx.ArgAddr {
		c.fail("no parameter %q", a.Sym)
		return
	}
	in := c.in
	in.off = uint64(at) + uint64(a.Off)
	if in.off+uint64(t.Bytes()) > uint64(c.p.params) {
		c.fail("parameter %q ends before offset %d", a.Sym, a.Off)
	}
	in.d = c.dst(0, widths(t)...)
	in.imm = c.registerMask(0)
	in.run = runLoadParam
}

func runLoadParam(w *warp, in *instr, m uint32) {
	v := narrow(in, w.blk.l.params[in.off:])
	for x := m; x != 0; x &= x - 1 {
		if l := lowest(x); in.size == 8 {
			w.r64[in.d][l] = v
		} else {
			w.r32[in.d][l] = uint32(v)
		}
	}
}

// narrow is an element in memory as it stands in a register.
func narrow(in *instr, b []byte) uint64 {
	switch in.size {
	case 1:
		if in.hint&accessSigned != 0 {
			return uint64(uint32(int8(b[0]))) & in.imm
		}
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// load puts the elements at b into lane l of the registers.
func (w *warp) load(in *instr, l int, b []byte) {
	if in.size == 4 {
		for i, r := range in.list {
			w.r32[r][l] = binary.LittleEndian.Uint32(b[4*i:])
		}
		return
	}
	for i, r := range in.list {
		v := narrow(in, b[i*int(in.size):])
		if in.size == 8 {
			w.r64[r][l] = v
		} else {
			w.r32[r][l] = uint32(v)
		}
	}
}

func (w *warp) store(in *instr, l int, b []byte) {
	for i, r := range in.list {
		switch p := b[i*int(in.size):]; in.size {
		case 1:
			p[0] = byte(w.v(r)[l])
		case 2:
			binary.LittleEndian.PutUint16(p, uint16(w.v(r)[l]))
		case 4:
			binary.LittleEndian.PutUint32(p, w.v(r)[l])
		case 8:
			binary.LittleEndian.PutUint64(p, w.w(r)[l])
		}
	}
}

func runLoadGlobal(w *warp, in *instr, m uint32) {
	addr, size := w.w(in.a), uint64(in.size*in.n)
	if in.hint&accessCoherent != 0 {
		w.blk.dev.atomic.Lock()
		defer w.blk.dev.atomic.Unlock()
	}
	for x := m; x != 0; x &= x - 1 {
		l := bits.TrailingZeros32(x) & 31
		w.load(in, l, w.global(in, l, addr[l]+in.off, size, false))
		if in.hint&accessCoherent != 0 {
			w.blk.strong(in, addr[l]+in.off, true, false)
		}
	}
}

func runStoreGlobal(w *warp, in *instr, m uint32) {
	addr, size := w.w(in.a), uint64(in.size*in.n)
	if in.hint&accessCoherent != 0 {
		w.blk.dev.atomic.Lock()
		defer w.blk.dev.atomic.Unlock()
	}
	for x := m; x != 0; x &= x - 1 {
		l := bits.TrailingZeros32(x) & 31
		w.store(in, l, w.global(in, l, addr[l]+in.off, size, true))
		if in.hint&accessCoherent != 0 {
			w.blk.strong(in, addr[l]+in.off, false, true)
		}
	}
}

func runLoadShared(w *warp, in *instr, m uint32) {
	addr, size := w.v(in.a), uint32(in.size*in.n)
	for x := m; x != 0; x &= x - 1 {
		l := bits.TrailingZeros32(x) & 31
		at := w.sharedAt(l, addr[l]+uint32(in.off), size)
		w.checkRead(l, at, int(size))
		w.load(in, l, w.blk.shared[at:])
	}
}

func runStoreShared(w *warp, in *instr, m uint32) {
	addr, size := w.v(in.a), uint32(in.size*in.n)
	for x := m; x != 0; x &= x - 1 {
		l := bits.TrailingZeros32(x) & 31
		at := w.sharedAt(l, addr[l]+uint32(in.off), size)
		w.checkWrite(l, at, int(size))
		w.store(in, l, w.blk.shared[at:])
	}
}

func runLoadConst(w *warp, in *instr, m uint32) {
	addr, size := w.w(in.a), uint64(in.size*in.n)
	mem := w.prog.constant
	for x := m; x != 0; x &= x - 1 {
		l := bits.TrailingZeros32(x) & 31
		a := addr[l] + in.off
		at := a - constBase
		if a%size != 0 {
			w.faultCode(driver.CodeMisalignedAddress, l, "constant address %#x is not a multiple of %d", a, size)
		}
		if at >= uint64(len(mem)) || size > uint64(len(mem))-at {
			w.faultCode(driver.CodeIllegalAddress, l, "%d bytes at constant address %#x: the kernel has [%#x, %#x)", size, a, constBase, constBase+len(mem))
		}
		w.load(in, l, mem[at:])
	}
}
