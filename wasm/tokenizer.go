package wasm

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
)

// Encode appends the ids of text to dst. With special, the text forms of control
// tokens become their ids. It is safe for concurrent use.
func (p *Plugin) Encode(dst []int32, text string, special bool) ([]int32, error) {
	// Byte-level tokenizers give at most an id a byte; normalisation and
	// control tokens add some.
	most := 4 * (64 + 8*len(text))
	input := unsafe.Slice(unsafe.StringData(text), len(text))
	err := p.tokenize(abi.ExportEncode, input, len(text), special, most, func(in *instance, b []byte) *Fault {
		if len(b)%4 != 0 {
			return in.fault(abi.ExportEncode, ReasonResult, "%d bytes are not whole ids", len(b))
		}
		base := len(dst)
		for ; len(b) > 0; b = b[4:] {
			id := int32(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
			if vocab := p.manifest.Vocab; id < 0 || vocab > 0 && uint32(id) >= vocab {
				dst = dst[:base]
				return in.fault(abi.ExportEncode, ReasonResult, "id %d, the vocabulary has %d", id, vocab)
			}
			dst = append(dst, id)
		}
		return nil
	})
	return dst, err
}

// Decode appends the bytes of ids to dst. Control tokens are left out unless
// special is set. It is safe for concurrent use.
func (p *Plugin) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	input := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(ids))), 4*len(ids))
	err := p.tokenize(abi.ExportDecode, input, len(ids), special, 1024+4096*len(ids), func(_ *instance, b []byte) *Fault {
		dst = append(dst, b...)
		return nil
	})
	return dst, err
}

// tokenize runs encode or decode on a free instance. n is the length as the
// guest is told it; take receives the result, at most most bytes.
func (p *Plugin) tokenize(call string, input []byte, n int, special bool, most int, take func(*instance, []byte) *Fault) error {
	switch {
	case p.manifest.Kind != abi.KindTokenizer:
		return fmt.Errorf("plugin %s: %w: a %s", p.name, ErrKind, p.manifest.Kind)
	case len(input) > p.opt.Limits.Input:
		return fmt.Errorf("plugin %s: input of %d bytes, at most %d allowed (Limits.Input)", p.name, len(input), p.opt.Limits.Input)
	}
	if f := p.ready(call); f != nil {
		return f
	}
	in, err := p.idle()
	if err != nil {
		return err
	}
	defer in.mu.Unlock()
	start, timed := p.stats.begin()
	f := in.tokenize(call, input, n, special, most, take)
	if timed {
		p.stats.end(start)
	}
	p.settle(in, f)
	if f != nil {
		return f
	}
	return nil
}

func (in *instance) tokenize(call string, input []byte, n int, special bool, most int, take func(*instance, []byte) *Fault) *Fault {
	if f := in.usable(); f != nil {
		return f
	}
	ptr, f := in.input(input)
	if f != nil {
		return f
	}
	fn, flags := fnEncode, uint64(0)
	if call == abi.ExportDecode {
		fn = fnDecode
	}
	if special {
		flags = uint64(abi.FlagSpecial)
	}
	in.seed = in.p.opt.Seed
	in.stack[0], in.stack[1], in.stack[2] = uint64(ptr), uint64(n), flags
	budget := in.p.textFuel(len(input))
	f = in.do(fn, budget)
	in.p.stats.fuel.Add(in.used(budget))
	if f != nil {
		return f
	}
	b, f := in.result(call, int64(in.stack[0]), most)
	if f != nil {
		return f
	}
	in.p.stats.gave(len(input))
	in.p.stats.took(len(b))
	return take(in, b)
}

// idle returns a locked instance: a free one, a new one, or the first to become
// free of those there may be.
func (p *Plugin) idle() (*instance, error) {
	p.mu.RLock()
	all, closed := p.instances, p.closed
	p.mu.RUnlock()
	if closed {
		return nil, fmt.Errorf("plugin %s: %w", p.name, ErrClosed)
	}
	for _, in := range all {
		if in.mu.TryLock() {
			return in, nil
		}
	}
	p.mu.Lock()
	if !p.closed && len(p.instances) < min(p.opt.Instances, runtime.GOMAXPROCS(0)) {
		in, err := p.another()
		if err == nil {
			in.mu.Lock()
		}
		p.mu.Unlock()
		return in, err
	}
	all = p.instances
	p.mu.Unlock()
	in := all[p.stats.calls.Load()%uint64(len(all))]
	in.mu.Lock()
	return in, nil
}
