package wasm

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sandwarp/sandwarp/abi"
)

// Value types in signatures.
const (
	i32 = 0x7f
	i64 = 0x7e
	f32 = 0x7d
	f64 = 0x7c
)

// hostFunc is a function of module sw1.
type hostFunc struct {
	params, results []byte
	call            func(in *instance, stack []uint64)
}

// hostFuncs is all of module sw1. A call costs the guest fuel by what it does,
// and takes time bounded by the guest's memory.
var hostFuncs = map[string]hostFunc{
	"log":        {[]byte{i32, i32, i32}, []byte{i32}, hostLog},
	"metric":     {[]byte{i32, i32, f64}, []byte{i32}, hostMetric},
	"now":        {nil, []byte{i64}, hostNow},
	"rand":       {nil, []byte{i64}, hostRand},
	"kv_get":     {[]byte{i32, i32, i32, i32}, []byte{i32}, hostGet},
	"kv_set":     {[]byte{i32, i32, i32, i32}, []byte{i32}, hostSet},
	"vocab_map":  {[]byte{i32, i32}, []byte{i64}, hostVocab},
	"op_topk":    {[]byte{i32, i32, i32, i32}, []byte{i32}, opTopK},
	"op_mask":    {[]byte{i32, i32, i32}, []byte{i32}, opMask},
	"op_scale":   {[]byte{i32, i32, f32, f32}, []byte{i32}, opScale},
	"op_penalty": {[]byte{i32, i32, i32, i32, f32, f32, f32}, []byte{i32}, opPenalty},
	"op_lse":     {[]byte{i32, i32}, []byte{f64}, opLSE},
	"op_gather":  {[]byte{i32, i32, i32, i32, i32}, []byte{i32}, opGather},
}

func code(c abi.Code) uint64 { return uint64(uint32(c)) }

func code64(c abi.Code) uint64 { return uint64(int64(c)) }

// Caps of what a guest can hand out.
const (
	maxLine      = 4 << 10
	maxLines     = 100 // a second
	maxMetric    = 128
	hostCallFuel = 2000 // of any call, whatever comes of it: 30 to 1,200 ns, by the engine
)

// lineBudget is the number of log lines of the current second.
type lineBudget struct {
	mu     sync.Mutex // guards what follows
	second int64
	n      int
}

func (b *lineBudget) take() bool {
	now := time.Now().Unix()
	b.mu.Lock()
	defer b.mu.Unlock()
	if now != b.second {
		b.second, b.n = now, 0
	}
	b.n++
	return b.n <= maxLines
}

// log passes a line on, within the limits. The guest cannot tell.
func (in *instance) log(level int, line []byte) {
	o := &in.p.opt
	switch {
	case o.Log == nil && o.Logger == nil:
	case !in.p.lines.take():
		in.p.stats.dropped.Add(1)
	default:
		text := string(line[:min(len(line), maxLine)])
		if o.Log != nil {
			o.Log(level, text)
		}
		if o.Logger != nil {
			o.Logger.Log(context.Background(), severity(level), strings.ToValidUTF8(text, "?"), "plugin", in.p.name)
		}
	}
}

// severity is what a guest's level is called here; the higher, the worse.
func severity(level int) slog.Level {
	switch {
	case level >= 3:
		return slog.LevelError
	case level == 2:
		return slog.LevelWarn
	case level == 1:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

func hostLog(in *instance, s []uint64) {
	line, ok := in.mem(uint32(s[1]), uint32(s[2]))
	if !in.charge(uint64(min(len(line), maxLine))) {
		s[0] = code(abi.ETIME)
		return
	}
	if !ok {
		s[0] = code(abi.EFAULT)
		return
	}
	in.log(int(int32(s[0])), line)
	s[0] = 0
}

func hostMetric(in *instance, s []uint64) {
	name, ok := in.mem(uint32(s[0]), uint32(s[1]))
	value := f64of(s[2])
	switch {
	case !in.charge(0):
		s[0] = code(abi.ETIME)
	case !ok:
		s[0] = code(abi.EFAULT)
	case len(name) == 0 || len(name) > maxMetric:
		s[0] = code(abi.EINVAL)
	default:
		if in.p.opt.Metric != nil {
			in.p.opt.Metric(string(name), value)
		}
		s[0] = 0
	}
}

// hostNow is a virtual clock: it moves a microsecond a look, and by what the
// guest sleeps.
func hostNow(in *instance, s []uint64) {
	in.clock += 1000
	s[0] = in.clock
}

func hostRand(in *instance, s []uint64) {
	s[0] = in.random()
}

// random is the next number of the current call's sequence (SplitMix64; Steele,
// Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
func (in *instance) random() uint64 {
	in.seed += 0x9e3779b97f4a7c15
	return mix(in.seed)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// store is the plugin's small memory beyond instances.
type store struct {
	mu    sync.Mutex // guards what follows
	m     map[string][]byte
	bytes int
}

const (
	maxKey        = 256
	maxValue      = 64 << 10
	maxStore      = 1 << 20
	maxStoreItems = 4096
)

func (st *store) set(key string, value []byte) abi.Code {
	st.mu.Lock()
	defer st.mu.Unlock()
	old, had := st.m[key]
	grown := st.bytes + len(value) - len(old)
	if !had {
		grown += len(key)
	}
	switch {
	case len(value) == 0:
		if had {
			st.bytes -= len(key) + len(old)
			delete(st.m, key)
		}
		return abi.OK
	case grown > maxStore || !had && len(st.m) >= maxStoreItems:
		return abi.ENOSPC
	}
	if st.m == nil {
		st.m = map[string][]byte{}
	}
	st.m[key] = append([]byte(nil), value...)
	st.bytes = grown
	return abi.OK
}

func hostGet(in *instance, s []uint64) {
	key, ok1 := in.mem(uint32(s[0]), uint32(s[1]))
	out, ok2 := in.mem(uint32(s[2]), uint32(s[3]))
	switch {
	case !ok1 || !ok2:
		s[0] = code(abi.EFAULT)
		return
	case len(key) > maxKey:
		s[0] = code(abi.EINVAL)
		return
	}
	in.p.store.mu.Lock()
	defer in.p.store.mu.Unlock()
	value, ok := in.p.store.m[string(key)]
	switch {
	case !in.charge(uint64(len(value) / 2)):
		s[0] = code(abi.ETIME)
	case !ok:
		s[0] = code(abi.ENOENT)
	default:
		copy(out, value)
		s[0] = uint64(len(value))
	}
}

func hostSet(in *instance, s []uint64) {
	key, ok1 := in.mem(uint32(s[0]), uint32(s[1]))
	value, ok2 := in.mem(uint32(s[2]), uint32(s[3]))
	switch {
	case !ok1 || !ok2:
		s[0] = code(abi.EFAULT)
	case len(key) > maxKey || len(key) == 0 || len(value) > maxValue:
		s[0] = code(abi.EINVAL)
	case !in.charge(uint64(len(value) / 2)):
		s[0] = code(abi.ETIME)
	default:
		s[0] = code(in.p.store.set(string(key), value))
	}
}

// hostVocab copies the vocabulary: n u32, then n+1 u32 offsets into the text
// behind them, then the text. It returns the size, and copies nothing if the
// room is smaller.
func hostVocab(in *instance, s []uint64) {
	table := in.p.vocab
	room, ok := in.mem(uint32(s[0]), uint32(s[1]))
	switch {
	case !ok:
		s[0] = code64(abi.EFAULT)
		return
	case len(room) >= len(table):
		if !in.charge(uint64(len(table) / 8)) {
			s[0] = code64(abi.ETIME)
			return
		}
		copy(room, table)
	}
	s[0] = uint64(len(table))
}
