//go:build wasip1

package plugin

import (
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/go/internal/hook"
)

// The exports of the packages plan, fork and rollback come here.
func init() {
	hook.Plan = func(rows uint32) (code int32) {
		defer caught(&code)
		return int32(fail(plan(window, int(rows))))
	}
	hook.Fork = func(src, dst uint64) (code int32) {
		defer caught(&code)
		return int32(fail(fork(src, dst)))
	}
	hook.Rollback = func(seq uint64, n uint32) (code int32) {
		defer caught(&code)
		return int32(fail(rollback(seq, int(n))))
	}
}

// memory keeps what the host was given alive, by address.
var memory = map[uint32][]byte{}

// window is the frame.
var window []byte

// at views guest memory. The host passes only ranges it got from sw_alloc.
func at(ptr unsafe.Pointer, n uint32) []byte { return unsafe.Slice((*byte)(ptr), n) }

// caught turns a panic into an error of the call.
func caught(code *int32) {
	if p := recover(); p != nil {
		*code = int32(fail(panicked(p)))
	}
}

func caught64(v *int64) {
	var code int32
	if p := recover(); p != nil {
		code = int32(fail(panicked(p)))
		*v = int64(code)
	}
}

func panicked(p any) error {
	if e, ok := p.(error); ok {
		return abi.EIO.Errorf("panic: %s", e)
	}
	return abi.EIO.Errorf("panic: %v", p)
}

func packed(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	return abi.Pack(address(b), uint32(len(b)))
}

//go:wasmexport sw_abi_v1
func swVersion() int64 { return int64(abi.VersionWord(abi.Minor, served.features)) }

//go:wasmexport sw_manifest
func swManifest() int64 {
	served.text = abi.AppendManifest(served.text[:0], &served.manifest)
	return packed(served.text)
}

//go:wasmexport sw_alloc
func swAlloc(size, align uint32) uint32 {
	b := make([]byte, max(size, 16)+align)
	ptr := address(b)
	if align > 0 {
		ptr = (ptr + align - 1) / align * align
	}
	memory[ptr] = b
	return ptr
}

//go:wasmexport sw_free
func swFree(ptr, _, _ uint32) { delete(memory, ptr) }

//go:wasmexport sw_last_error
func swLastError() int64 {
	served.text = append(served.text[:0], served.lastErr...)
	return packed(served.text)
}

//go:wasmexport sw_configure
func swConfigure(ptr unsafe.Pointer, n uint32) (code int32) {
	defer caught(&code)
	return int32(fail(configure(at(ptr, n))))
}

//go:wasmexport sw_frame
func swFrame(size uint32) uint32 {
	b := make([]byte, size+abi.WindowAlign)
	skip := -address(b) % abi.WindowAlign
	window = b[skip : skip+size]
	return address(window)
}

//go:wasmexport sw_seq_open
func swSeqOpen(seq uint64, ptr unsafe.Pointer, n uint32) (code int32) {
	defer caught(&code)
	return int32(fail(seqOpen(seq, at(ptr, n))))
}

//go:wasmexport sw_seq_close
func swSeqClose(seq uint64) (code int32) {
	defer caught(&code)
	return int32(fail(seqClose(seq)))
}

//go:wasmexport sw_sample
func swSample(rows uint32) (code int32) {
	defer caught(&code)
	return int32(fail(sample(window, int(rows))))
}

//go:wasmexport sw_accept
func swAccept(seq uint64, ptr unsafe.Pointer, n uint32) (code int32) {
	defer caught(&code)
	tokens := unsafe.Slice((*int32)(ptr), n)
	return int32(fail(accept(seq, tokens)))
}

//go:wasmexport sw_filter
func swFilter(seq uint64, ptr unsafe.Pointer, n, flags uint32) (v int64) {
	defer caught64(&v)
	v, err := filter(seq, at(ptr, n), flags)
	if err != nil {
		return int64(fail(err))
	}
	return v
}

//go:wasmexport sw_out
func swOut() int64 { return packed(served.out) }

//go:wasmexport sw_encode
func swEncode(ptr unsafe.Pointer, n, flags uint32) (v int64) {
	defer caught64(&v)
	impl, ok := served.impl.(Tokenizer)
	if !ok {
		return int64(abi.ENOSYS)
	}
	ids, err := impl.Encode(served.ids[:0], at(ptr, n), flags&abi.FlagSpecial != 0)
	if err != nil {
		return int64(fail(err))
	}
	if served.ids = ids; len(ids) == 0 {
		return 0
	}
	return packed(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(ids))), 4*len(ids)))
}

//go:wasmexport sw_decode
func swDecode(ptr unsafe.Pointer, n, flags uint32) (v int64) {
	defer caught64(&v)
	impl, ok := served.impl.(Tokenizer)
	if !ok {
		return int64(abi.ENOSYS)
	}
	ids := unsafe.Slice((*int32)(ptr), n)
	text, err := impl.Decode(served.text[:0], ids, flags&abi.FlagSpecial != 0)
	if err != nil {
		return int64(fail(err))
	}
	served.text = text
	return packed(text)
}
