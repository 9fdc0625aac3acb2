// Command golden is a filter for tests: the ABI's byte vectors, read and written again
// on the 32-bit machine that a guest is.
//
// It takes a text "NAME HEX", reads the bytes as what the name says, and answers with the
// hex of what it writes of that: the same, if reader and writer are right.
package main

import (
	"bytes"
	"encoding/hex"
	"math"

	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

func init() {
	plugin.ServeFilter(plugin.Manifest{
		Name: "test/golden", Version: "1", Description: "Reads and writes golden vectors", Fuel: 50_000_000, HoldMax: 65536,
	}, golden{})
}

func main() {}

type golden struct{}

func (golden) Filter(_ *plugin.Seq, text []byte, flags uint32) plugin.Verdict {
	if flags&abi.FlagEnd == 0 {
		return plugin.Hold()
	}
	name, digits, _ := bytes.Cut(text, []byte(" "))
	b := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(b, digits); err != nil {
		panic(err)
	}
	out, err := again(string(name), b)
	if err != nil {
		panic(err) // the call's error, as a filter in Go has no other
	}
	return plugin.Replace(len(text), []byte(hex.EncodeToString(out)))
}

func again(name string, b []byte) ([]byte, error) {
	word := func(v uint64) ([]byte, error) {
		return []byte{byte(v >> 56), byte(v >> 48), byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}, nil
	}
	switch name {
	case "configure", "configure_empty":
		m, err := abi.ParseConfigure(b)
		return abi.AppendConfigure(nil, &m), err
	case "seq_open":
		m, err := abi.ParseSeqOpen(b)
		return abi.AppendSeqOpen(nil, &m), err
	case "manifest_sampler", "manifest_filter":
		m, err := abi.ParseManifest(b)
		if err != nil {
			return nil, err
		}
		return abi.AppendManifest(nil, m), nil
	case "frame_header_dense_slots_1_2_of_3":
		return header(b)
	case "row_in", "row_picked":
		return row(b, name == "row_picked")
	case "candidates":
		list, out := abi.Candidates(b), make(abi.Candidates, len(b))
		for i := range len(b) / abi.CandidateSize {
			out.Set(i, list.ID(i), list.Logit(i))
		}
		return out, nil
	case "version_word":
		return word(abi.VersionWord(3, abi.FeatureHostOps|abi.FeatureReplay))
	case "packed":
		return word(uint64(abi.Pack(0x10000, 608000)))
	case "verdict_pass_17":
		return word(uint64(abi.PackVerdict(abi.ActionPass, 17)))
	case "verdict_replace_17":
		return word(uint64(abi.PackVerdict(abi.ActionReplace, 17)))
	case "value":
		r := abi.NewReader("value", b)
		out := value(r, nil, 40)
		return out, r.Done()
	}
	return nil, abi.EINVAL.Errorf("unknown vector %s", name)
}

func put(out []byte, v uint64, n int) []byte {
	for i := range n {
		out = append(out, byte(v>>(8*i)))
	}
	return out
}

func header(b []byte) (out []byte, err error) {
	h := abi.Header(b)
	if len(b) != abi.HeaderSize {
		return nil, abi.EINVAL.Errorf("not a header")
	}
	out = put(put(put(nil, uint64(h.Magic()), 4), uint64(h.Size()), 2), uint64(h.Version()), 2)
	out = put(put(put(out, uint64(h.Rows()), 4), uint64(h.Vocab()), 4), h.Step(), 8)
	for _, v := range []uint32{
		h.Flags(), h.RowOff(), h.LogitsOff(), h.RowStride(), h.MaskOff(), h.MaskStride(), h.CandOff(), h.CandCap(), h.HistOff(), h.HistCap(),
	} {
		out = put(out, uint64(v), 4)
	}
	return out, nil
}

// row is a row as it is, or as it is after picking token 999 with log-probability -1.5.
func row(b []byte, pick bool) (out []byte, err error) {
	r := abi.Row(b)
	if len(b) != abi.RowSize {
		return nil, abi.EINVAL.Errorf("not a row")
	}
	if pick {
		r.Choose(abi.ChoicePick, 999)
		r.SetLogProb(-1.5)
	}
	bits := math.Float32bits
	out = put(put(put(nil, r.Seq(), 8), uint64(uint32(r.Parent())), 4), uint64(r.Pos()), 4)
	out = put(put(put(out, uint64(r.HistOff()), 4), uint64(r.HistN()), 4), uint64(r.CandN()), 4)
	out = put(put(out, uint64(r.Flags()), 4), r.Seed(), 8)
	for _, v := range []uint32{
		bits(r.Temp()), bits(r.TopP()), r.TopK(), bits(r.MinP()), uint32(r.Action()), uint32(r.Token()), bits(r.LogProb()), r.OutOff(), r.OutN(),
	} {
		out = put(out, uint64(v), 4)
	}
	return append(out, b[len(out):]...), nil // the rest is reserved
}

// value copies one value, at most depth deep, through reader and writer.
func value(r *abi.Reader, out []byte, depth int) []byte {
	if depth == 0 {
		r.Fail("too deep")
	}
	if r.Err() != nil {
		return out
	}
	start := *r
	raw := start.Raw()
	if start.Err() != nil {
		r.Skip()
		return out
	}
	switch c := raw[0]; {
	case c == 0xc0:
		r.Skip()
		return abi.AppendNil(out)
	case c == 0xc2 || c == 0xc3:
		r.Skip()
		return abi.AppendBool(out, c == 0xc3)
	case c == 0xcf:
		return abi.AppendUint(out, r.Uint(math.MaxUint64))
	case c == 0xca || c == 0xcb:
		return abi.AppendFloat(out, r.Float())
	case r.IsString():
		return abi.AppendString(out, r.String(1<<16))
	case c >= 0xc4 && c <= 0xc6:
		return abi.AppendBinary(out, r.Bytes(1<<16))
	case c&0xf0 == 0x90 || c == 0xdc || c == 0xdd:
		n := r.Array(1 << 16)
		out = abi.AppendArray(out, n)
		for range n {
			out = value(r, out, depth-1)
		}
		return out
	case c&0xf0 == 0x80 || c == 0xde || c == 0xdf:
		n := r.Map(1 << 16)
		out = abi.AppendMap(out, n)
		for range 2 * n {
			out = value(r, out, depth-1)
		}
		return out
	}
	return abi.AppendInt(out, r.Int())
}
