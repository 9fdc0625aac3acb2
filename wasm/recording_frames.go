package wasm

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/sandwarp/sandwarp/abi"
)

// encode writes a call's payload. histories are written as what was added to the
// last one of the sequence, of which keep tokens stay.
func (c *call) encode(e *encoder, keep int) {
	e.uint(uint64(c.plugin))
	e.uint(c.seq)
	g, r := &c.given, &c.got
	switch c.kind {
	case callOpen:
		e.given(g.config != nil, g.seeded)
		if g.seeded {
			e.uint(g.seed)
		}
		e.bytes(g.config)
	case callProcess:
		e.uint(uint64(keep))
		e.tokens(g.history[keep:])
		g.row.encode(e)
		e.int(int64(r.pick))
		e.uint(uint64(r.action))
		r.row.encode(e, g.row.hashed)
	case callAccept:
		e.tokens(g.tokens)
	case callRollback:
		e.uint(g.n)
	case callFork:
		e.uint(g.dst)
	case callFilter:
		e.bytes(g.text)
		e.uint(uint64(g.flags))
		e.bytes(r.out)
		e.uint(r.n)
		e.bool(r.stop)
	case callEncode:
		e.bytes(g.text)
		e.uint(uint64(g.flags))
		e.tokens(r.tokens)
	case callDecode:
		e.tokens(g.tokens)
		e.uint(uint64(g.flags))
		e.bytes(r.out)
	}
	e.string(r.err)
}

// decode is encode backwards. last finds the latest history of a sequence.
func (c *call) decode(d *decoder, plugins int, last func(*call) *[]int32) {
	c.plugin = int(min(d.uint(), maxPayload))
	c.seq = d.uint()
	if c.plugin >= plugins {
		d.fail("plugin %d, and %d were loaded", c.plugin, plugins)
		return
	}
	g, r := &c.given, &c.got
	switch c.kind {
	case callOpen:
		some, seeded := d.given()
		if g.seeded = seeded; seeded {
			g.seed = d.uint()
		}
		if b := d.bytes(); some && d.err == nil {
			g.config = append([]byte{}, b...)
		}
	case callProcess:
		history := last(c)
		keep := d.uint()
		if keep > uint64(len(*history)) {
			d.fail("%d tokens of a history of %d", keep, len(*history))
			return
		}
		*history = append((*history)[:keep], d.tokens()...)
		g.history = *history
		g.row.decode(d)
		r.pick = d.token()
		r.action = uint8(min(d.uint(), 255))
		r.row.decode(d, &g.row)
	case callAccept:
		g.tokens = d.tokens()
	case callRollback:
		g.n = d.uint()
	case callFork:
		g.dst = d.uint()
	case callFilter:
		g.text = d.bytes()
		g.flags = uint32(d.uint())
		r.out = d.bytes()
		r.n = d.uint()
		r.stop = d.bool()
	case callEncode:
		g.text = d.bytes()
		g.flags = uint32(d.uint())
		r.tokens = d.tokens()
	case callDecode:
		g.tokens = d.tokens()
		g.flags = uint32(d.uint())
		r.out = d.bytes()
	}
	r.err = d.string()
}

func (r *row) encode(e *encoder) {
	e.uint(uint64(r.vocab))
	if e.bool(r.hashed); r.hashed {
		e.hash(r.hash)
		return
	}
	e.float(r.other)
	e.pairs(r.known)
}

func (r *row) decode(d *decoder) {
	if r.vocab = int(min(d.uint(), maxPayload)); r.vocab < 1 || r.vocab > abi.MaxVocab {
		d.fail("a vocabulary of %d", r.vocab)
		return
	}
	if r.hashed = d.bool(); r.hashed {
		r.hash = d.hash()
		return
	}
	r.other = d.float()
	r.known = d.pairs(r.vocab)
}

func (c *change) encode(e *encoder, hashed bool) {
	if hashed {
		e.hash(c.hash)
		return
	}
	e.ascending(len(c.excluded), func(i int) int32 { return c.excluded[i] })
	e.pairs(c.set)
}

func (c *change) decode(d *decoder, of *row) {
	if of.hashed {
		c.hash = d.hash()
		return
	}
	c.excluded = d.ascending(of.vocab)
	c.set = d.pairs(of.vocab)
}

func (l *loadedAs) encode(e *encoder) {
	e.string(l.name)
	e.b = append(e.b, l.hash[:]...)
	e.string(string(l.kind))
	e.bytes(l.config)
	e.uint(l.seed)
	e.strings(l.grant)
	e.strings(l.deny)
	for _, v := range l.limits.list() {
		e.uint(v)
	}
	e.uint(uint64(l.onFault))
	e.uint(uint64(l.vocabSize))
	e.bool(l.vocab != nil)
	e.strings(l.vocab)
}

func (l *loadedAs) decode(d *decoder) {
	l.name = d.string()
	copy(l.hash[:], d.take(32))
	l.kind = abi.Kind(d.string())
	l.config = append([]byte(nil), d.bytes()...)
	l.seed = d.uint()
	l.grant, l.deny = d.strings(), d.strings()
	var v [6]uint64
	for i := range v {
		v[i] = min(d.uint(), abi.MaxFuel)
	}
	l.limits = Limits{Memory: int64(v[0]), Fuel: v[1], ConfigureFuel: v[2], Stack: int(min(v[3], 1<<30)), Module: int(min(v[4], 1<<30)), Input: int(min(v[5], 1<<30))}
	l.onFault = Policy(min(d.uint(), uint64(FailOpen)))
	l.vocabSize = int(min(d.uint(), abi.MaxVocab))
	some := d.bool()
	if l.vocab = d.strings(); some && l.vocab == nil {
		l.vocab = []string{}
	}
}

func (l Limits) list() [6]uint64 {
	return [6]uint64{uint64(l.Memory), l.Fuel, l.ConfigureFuel, uint64(l.Stack), uint64(l.Module), uint64(l.Input)}
}

// appendFrame adds a frame with a payload, packed if that makes it smaller.
func appendFrame(dst []byte, kind callKind, payload []byte) []byte {
	k := byte(kind)
	if len(payload) >= packFrom {
		var b bytes.Buffer
		b.Write(binary.AppendUvarint(nil, uint64(len(payload))))
		w, _ := flate.NewWriter(&b, flate.BestSpeed) // the level is a good one, and a Buffer takes all
		_, _ = w.Write(payload)
		_ = w.Close()
		if b.Len() < len(payload) {
			payload, k = b.Bytes(), k|packedBit
		}
	}
	at := len(dst)
	dst = append(dst, k)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, payload...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

// recordReader reads a recording from memory. Errors name the offset.
type recordReader struct {
	b         []byte
	at        int // offset of the next frame
	plugins   []loadedAs
	histories map[seqKey][]int32
	ended     bool // the last frame was there
	truncated bool // it says that something is missing
}

// seqKey tells sequences of several plugins apart.
type seqKey struct {
	plugin int
	seq    uint64
}

func newRecordReader(b []byte) (*recordReader, error) {
	head := len(recordMagic) + 4
	if len(b) < head || string(b[:len(recordMagic)]) != recordMagic {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrRecording, recordMagic[:len(recordMagic)-1])
	}
	if v := binary.LittleEndian.Uint32(b[len(recordMagic):]); v != recordVersion {
		return nil, fmt.Errorf("%w: version %d of the format, this program reads %d", ErrRecording, v, recordVersion)
	}
	return &recordReader{b: b, at: head, histories: map[seqKey][]int32{}}, nil
}

// next returns the next call; ok is false at the end. Slices in it are valid until
// the next call of next.
func (r *recordReader) next() (c call, ok bool, err error) {
	for !r.ended {
		if r.at == len(r.b) { // whoever wrote it did not come to the end
			r.ended, r.truncated = true, true
			break
		}
		at := r.at
		kind, payload, err := r.frame()
		if err == nil {
			d := &decoder{b: payload}
			c = call{kind: kind &^ keptBit}
			c.got.kept = c.kind != kind
			r.read(&c, d)
			if d.err == nil && len(d.b) > 0 {
				d.fail("%d bytes too many", len(d.b))
			}
			err = d.err
		}
		if err != nil {
			return call{}, false, fmt.Errorf("%w: frame at byte %d (%v): %w", ErrRecording, at, kind&^keptBit, err)
		}
		if c.kind != callLoad && c.kind != callEnd {
			return c, true, nil
		}
	}
	if r.at != len(r.b) {
		return call{}, false, fmt.Errorf("%w: %d bytes behind the last frame", ErrRecording, len(r.b)-r.at)
	}
	return call{}, false, nil
}

// read takes in the payload of one frame.
func (r *recordReader) read(c *call, d *decoder) {
	if c.got.kept && (c.kind == callLoad || c.kind == callEnd) {
		d.fail("it is no call")
		return
	}
	switch c.kind {
	case callLoad:
		var l loadedAs
		if l.decode(d); d.err == nil {
			r.plugins = append(r.plugins, l)
		}
	case callEnd:
		r.ended, r.truncated = true, d.bool()
	default:
		if c.kind > callEnd || c.kind == 0 {
			d.fail("unknown kind")
			return
		}
		var history []int32
		key := func() seqKey { return seqKey{c.plugin, c.seq} }
		c.decode(d, len(r.plugins), func(c *call) *[]int32 {
			history = r.histories[key()]
			return &history
		})
		switch {
		case c.kind == callProcess && d.err == nil:
			r.histories[key()] = history
		case c.kind == callClose:
			delete(r.histories, key())
		}
	}
}

// frame takes the next frame off and unpacks it.
func (r *recordReader) frame() (kind callKind, payload []byte, err error) {
	rest := r.b[r.at:]
	if len(rest) < 9 {
		return 0, nil, fmt.Errorf("cut after %d bytes", len(rest))
	}
	kind = callKind(rest[0] &^ packedBit)
	n := binary.LittleEndian.Uint32(rest[1:])
	if n > maxPayload || uint64(n) > uint64(len(rest)-9) {
		return kind, nil, fmt.Errorf("%d bytes, and %d left", n, len(rest)-9)
	}
	body := rest[:5+n]
	if got, want := crc32.Checksum(body, castagnoli), binary.LittleEndian.Uint32(rest[5+n:]); got != want {
		return kind, nil, fmt.Errorf("checksum %08x, want %08x", got, want)
	}
	r.at += int(n) + 9
	if payload = body[5:]; rest[0]&packedBit != 0 {
		payload, err = unpack(payload)
	}
	return kind, payload, err
}

// unpack inflates a payload. DEFLATE gains a factor of 1,032 at most, so a length
// beyond that is a lie, told before anything is allocated.
func unpack(b []byte) ([]byte, error) {
	n, used := binary.Uvarint(b)
	b = b[max(used, 0):]
	if used <= 0 || n > maxPayload || n > 1040*uint64(len(b)) {
		return nil, fmt.Errorf("%d bytes packed into %d", n, len(b))
	}
	out := make([]byte, n)
	in := flate.NewReader(bytes.NewReader(b))
	if _, err := io.ReadFull(in, out); err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	if m, err := in.Read(make([]byte, 1)); m > 0 || err != io.EOF {
		return nil, fmt.Errorf("more than %d bytes were packed", n)
	}
	return out, nil
}
