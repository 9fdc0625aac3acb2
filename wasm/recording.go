package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/sandwarp/sandwarp/abi"
)

// A recording is what one or several plugins were given and what they answered:
//
//	"sandwarp replay\n" (16 bytes with the zero at the end), version u32, then frames
//	frame: kind u8, length u32, payload, CRC-32 (Castagnoli) u32 of all that
//
// Numbers are little-endian, those marked v varints (encoding/binary). With bit 7 of
// kind set the payload is v raw length and a DEFLATE stream; bit 6 says that the plugin's
// breaker kept the call away from it. A frame of kind callLoad
// introduces a plugin; it and the frames of its calls begin with the plugin's number
// (v), which counts from 0. The last frame says whether anything is missing.
const (
	recordMagic   = "sandwarp replay\x00"
	recordVersion = 1

	maxPayload = 64 << 20 // bytes of a frame, also unpacked
	packFrom   = 512      // bytes a payload must have to be packed
	packedBit  = 0x80
	keptBit    = 0x40
)

// callKind is what a frame holds. Their values are the format's.
type callKind uint8

const (
	callLoad callKind = iota + 1
	callOpen
	callProcess
	callAccept
	callRollback
	callFork
	callClose
	callFilter
	callEncode
	callDecode
	callEnd
)

var callNames = [...]string{"", "load", "OpenSeq", "Process", "Accept", "Rollback", "ForkSeq", "CloseSeq", "Filter", "Encode", "Decode", "end"}

func (k callKind) String() string {
	if int(k) < len(callNames) {
		return callNames[k]
	}
	return fmt.Sprintf("frame %d", k)
}

// call is one call of a plugin: what it was given and what came of it.
type call struct {
	kind   callKind
	plugin int
	seq    uint64
	given  inputs
	got    results
}

// inputs are the arguments of a call, as far as its kind has them.
type inputs struct {
	config  []byte // nil for none
	seeded  bool   // seed came with the call
	seed    uint64
	dst     uint64 // of a fork
	n       uint64 // of a rollback
	flags   uint32 // of a filter; 1 for special in Encode and Decode
	text    []byte
	tokens  []int32 // accepted, or to decode
	history []int32
	row     row
}

// results are what it returned.
type results struct {
	pick   int32
	action uint8
	n      uint64 // bytes of text a filter consumed
	stop   bool
	out    []byte
	tokens []int32
	row    change
	kept   bool   // the breaker kept the call away
	err    string // "" for none
}

// row is what a sampler could see of a row of logits, and what its answer was applied
// to: the rest has no part in what it does.
type row struct {
	vocab  int
	known  []pair  // by ascending id
	other  float32 // what all others are
	hashed bool    // only hash was kept
	hash   uint64
}

// pair is a token and its logit.
type pair struct {
	id int32
	v  float32
}

// change is what became of a row.
type change struct {
	excluded []int32 // now -Inf
	set      []pair  // now something else
	hash     uint64  // of all, if only that was kept
}

// loadedAs is the beginning of a plugin's calls: all that a twin needs.
type loadedAs struct {
	name        string
	hash        [32]byte
	kind        abi.Kind
	config      []byte
	seed        uint64
	grant, deny []string
	limits      Limits
	onFault     Policy
	vocab       []string // nil if the plugin asked for none
	vocabSize   int
}

// encoder appends to a payload.
type encoder struct{ b []byte }

func (e *encoder) uint(v uint64)   { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)     { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) float(v float32) { e.b = binary.LittleEndian.AppendUint32(e.b, math.Float32bits(v)) }
func (e *encoder) hash(v uint64)   { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *encoder) bytes(v []byte)  { e.uint(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) string(v string) { e.uint(uint64(len(v))); e.b = append(e.b, v...) }

func (e *encoder) bool(v bool) {
	n := byte(0)
	if v {
		n = 1
	}
	e.b = append(e.b, n)
}

// given writes which arguments of OpenSeq there are: bit 0 a configuration, bit 1 a seed.
func (e *encoder) given(config, seed bool) {
	n := byte(0)
	if config {
		n |= 1
	}
	if seed {
		n |= 2
	}
	e.b = append(e.b, n)
}

func (e *encoder) strings(list []string) {
	e.uint(uint64(len(list)))
	for _, s := range list {
		e.string(s)
	}
}

func (e *encoder) tokens(list []int32) {
	e.uint(uint64(len(list)))
	for _, id := range list {
		e.int(int64(id))
	}
}

// ascending writes ids as distances.
func (e *encoder) ascending(n int, id func(i int) int32) {
	e.uint(uint64(n))
	last := int32(-1)
	for i := range n {
		e.uint(uint64(id(i) - last - 1))
		last = id(i)
	}
}

func (e *encoder) pairs(list []pair) {
	e.ascending(len(list), func(i int) int32 { return list[i].id })
	for _, p := range list {
		e.float(p.v)
	}
}

// decoder takes a payload apart. After an error it returns zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("a number is cut or too large")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("a number is cut or too large")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// take is the next n bytes.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail("%d bytes wanted, %d left", n, len(d.b))
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) bytes() []byte  { return d.take(d.uint()) }
func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) bool() bool {
	b := d.take(1)
	if len(b) == 1 && b[0] > 1 {
		d.fail("a yes or no is %d", b[0])
	}
	return len(b) == 1 && b[0] == 1
}

func (d *decoder) given() (config, seed bool) {
	b := d.take(1)
	if len(b) == 1 && b[0] > 3 {
		d.fail("arguments %#x of OpenSeq", b[0])
	}
	return len(b) == 1 && b[0]&1 != 0, len(b) == 1 && b[0]&2 != 0
}

func (d *decoder) float() float32 {
	if b := d.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) hash() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count is the length of a list whose items take size bytes at least.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail("a list of %d, and %d bytes left", n, len(d.b))
		return 0
	}
	return int(n)
}

func (d *decoder) strings() (list []string) {
	for range d.count(1) {
		list = append(list, d.string())
	}
	return list
}

func (d *decoder) token() int32 {
	v := d.int()
	if v != int64(int32(v)) {
		d.fail("a token is %d", v)
		return 0
	}
	return int32(v)
}

func (d *decoder) tokens() []int32 {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	list := make([]int32, n)
	for i := range list {
		list[i] = d.token()
	}
	return list
}

// ascending reads ids below vocab.
func (d *decoder) ascending(vocab int) []int32 {
	list := make([]int32, d.count(1))
	next := uint64(0)
	for i := range list {
		step := d.uint()
		if step >= uint64(vocab) || next+step >= uint64(vocab) {
			d.fail("a token beyond the vocabulary of %d", vocab)
			return nil
		}
		list[i] = int32(next + step)
		next += step + 1
	}
	return list
}

func (d *decoder) pairs(vocab int) []pair {
	ids := d.ascending(vocab)
	if len(ids) > len(d.b)/4 {
		d.fail("%d logits, and %d bytes left", len(ids), len(d.b))
		return nil
	}
	list := make([]pair, len(ids))
	for i, id := range ids {
		list[i] = pair{id, d.float()}
	}
	return list
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrRecording says that a file is no recording, or damaged.
var ErrRecording = errors.New("not a recording, or a damaged one")
