package examples_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

func header(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../sandwarp.h")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHeaderNumbers compares the header's constants with the host's.
func TestHeaderNumbers(t *testing.T) {
	want := map[string]int64{
		"OK": int64(abi.OK), "EPERM": int64(abi.EPERM), "ENOENT": int64(abi.ENOENT), "EIO": int64(abi.EIO),
		"E2BIG": int64(abi.E2BIG), "ENOMEM": int64(abi.ENOMEM), "EFAULT": int64(abi.EFAULT), "EBUSY": int64(abi.EBUSY),
		"EINVAL": int64(abi.EINVAL), "ENOSPC": int64(abi.ENOSPC), "ERANGE": int64(abi.ERANGE), "ENOSYS": int64(abi.ENOSYS),
		"EMSGSIZE": int64(abi.EMSGSIZE), "ETIME": int64(abi.ETIME),
		"FEATURE_HOST_OPS": int64(abi.FeatureHostOps), "FEATURE_VOCAB": int64(abi.FeatureVocab), "FEATURE_REPLAY": int64(abi.FeatureReplay),
		"FLAG_PROMPT": int64(abi.FlagPrompt), "FLAG_END": int64(abi.FlagEnd), "FLAG_REPLAY": int64(abi.FlagReplay), "FLAG_SPECIAL": int64(abi.FlagSpecial),
		"ACTION_PASS": int64(abi.ActionPass), "ACTION_HOLD": int64(abi.ActionHold), "ACTION_REPLACE": int64(abi.ActionReplace), "ACTION_STOP": int64(abi.ActionStop),
		"CHOICE_NONE": int64(abi.ChoiceNone), "CHOICE_PICK": int64(abi.ChoicePick), "CHOICE_EDIT": int64(abi.ChoiceEdit),
		"CHOICE_MASK": int64(abi.ChoiceMask), "CHOICE_KEEP": int64(abi.ChoiceKeep), "CHOICE_BIAS": int64(abi.ChoiceBias),
		"FRAME_MAGIC": abi.FrameMagic, "FRAME_VERSION": abi.FrameVersion, "HEADER_SIZE": abi.HeaderSize, "ROW_SIZE": abi.RowSize,
		"CANDIDATE_SIZE": abi.CandidateSize, "PAYLOAD_ALIGN": abi.PayloadAlign, "WINDOW_ALIGN": abi.WindowAlign,
		"MAX_VOCAB": abi.MaxVocab, "MAX_DEPTH": abi.MaxDepth, "MINOR": abi.Minor,
	}
	for _, m := range regexp.MustCompile(`(?m)^#define SW_([A-Z0-9_]+) \(?(-?(?:0x)?[0-9a-f]+)\)?(?: |$)`).FindAllStringSubmatch(header(t), -1) {
		got, err := strconv.ParseInt(m[2], 0, 64)
		if err != nil {
			t.Fatal(m[0], err)
		}
		v, known := want[m[1]]
		if !known || v != got {
			t.Errorf("SW_%s is %d; the host says %d (%v)", m[1], got, v, known)
		}
		delete(want, m[1])
	}
	for name := range want {
		t.Errorf("SW_%s is missing", name)
	}
}

// TestHeaderLayout reads a frame of random bytes by the header's offsets and by
// package abi. The compiler checks that the structs have these offsets.
func TestHeaderLayout(t *testing.T) {
	var frame [abi.RowSize]byte
	for i := range frame {
		frame[i] = byte(37*i + 11)
	}
	h, r, c := abi.Header(frame[:]), abi.Row(frame[:]), abi.Candidates(frame[:])
	f := func(v float32) uint64 { b, _ := binary.Append(nil, binary.LittleEndian, v); return word(b, 4) }
	want := map[string]uint64{
		"sw_header.magic": uint64(h.Magic()), "sw_header.header_size": uint64(h.Size()), "sw_header.version": uint64(h.Version()),
		"sw_header.rows": uint64(h.Rows()), "sw_header.vocab": uint64(h.Vocab()), "sw_header.step": h.Step(), "sw_header.flags": uint64(h.Flags()),
		"sw_header.row_off": uint64(h.RowOff()), "sw_header.logits_off": uint64(h.LogitsOff()), "sw_header.row_stride": uint64(h.RowStride()),
		"sw_header.mask_off": uint64(h.MaskOff()), "sw_header.mask_stride": uint64(h.MaskStride()), "sw_header.cand_off": uint64(h.CandOff()),
		"sw_header.cand_cap": uint64(h.CandCap()), "sw_header.hist_off": uint64(h.HistOff()), "sw_header.hist_cap": uint64(h.HistCap()),
		"sw_row.seq": r.Seq(), "sw_row.parent": uint64(uint32(r.Parent())), "sw_row.pos": uint64(r.Pos()), "sw_row.hist_off": uint64(r.HistOff()),
		"sw_row.hist_n": uint64(r.HistN()), "sw_row.cand_n": uint64(r.CandN()), "sw_row.flags": uint64(r.Flags()), "sw_row.seed": r.Seed(),
		"sw_row.temp": f(r.Temp()), "sw_row.top_p": f(r.TopP()), "sw_row.top_k": uint64(r.TopK()), "sw_row.min_p": f(r.MinP()),
		"sw_row.action": uint64(r.Action()), "sw_row.token": uint64(uint32(r.Token())), "sw_row.logprob": f(r.LogProb()),
		"sw_row.out_off": uint64(r.OutOff()), "sw_row.out_n": uint64(r.OutN()),
		"sw_candidate.id": uint64(uint32(c.ID(0))), "sw_candidate.logit": f(c.Logit(0)),
	}
	width := map[string]int{"sw_header.header_size": 2, "sw_header.version": 2, "sw_header.step": 8, "sw_row.seq": 8, "sw_row.seed": 8}
	for _, m := range regexp.MustCompile(`(?m)^SW_AT\((\w+), (\w+), (\d+)\);$`).FindAllStringSubmatch(header(t), -1) {
		name := m[1] + "." + m[2]
		off, _ := strconv.Atoi(m[3])
		n := width[name]
		if n == 0 {
			n = 4
		}
		if v, known := want[name]; !known || v != word(frame[off:], n) {
			t.Errorf("%s: the header says offset %d, the host reads elsewhere (known: %v)", name, off, known)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is not checked at compile time", name)
	}
}

// word is a little-endian number of n bytes.
func word(b []byte, n int) (v uint64) {
	for i := range n {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// TestHeaderFunctions: the header declares all host functions, and no export the
// ABI does not know.
func TestHeaderFunctions(t *testing.T) {
	imports := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^SW_IMPORT\((\w+)\)`).FindAllStringSubmatch(header(t), -1) {
		imports[m[1]] = true
		if _, known := abi.Imports[m[1]]; !known {
			t.Errorf("import %s: the host has no such function", m[1])
		}
	}
	for name := range abi.Imports {
		if !imports[name] {
			t.Errorf("host function %s is not declared", name)
		}
	}
	exports := map[string]bool{}
	for _, name := range []string{
		abi.ExportVersion, abi.ExportAlloc, abi.ExportFree, abi.ExportConfigure, abi.ExportLastError, abi.ExportFrame,
		abi.ExportSeqOpen, abi.ExportSeqClose, abi.ExportSample, abi.ExportAccept, abi.ExportEncode, abi.ExportDecode,
		abi.ExportFilter, abi.ExportOut, abi.ExportPlan, abi.ExportSeqFork, abi.ExportSeqRollback,
	} {
		exports[name] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^SW_EXPORT\((\w+)\)`).FindAllStringSubmatch(header(t), -1) {
		if !exports[m[1]] {
			t.Errorf("export %s is not in the ABI", m[1])
		}
		delete(exports, m[1])
	}
	for name := range exports {
		t.Errorf("export %s is not declared", name)
	}
}

// everyOption defines all that a sampler can.
const everyOption = `
#define SANDWARP_SAMPLER
#define SANDWARP_ACCEPT
#define SANDWARP_PLAN
#define SANDWARP_ROLLBACK
#define SANDWARP_FORK
#include "sandwarp.h"
int32_t sw_configure(const uint8_t *m, uint32_t n) { uint32_t len; return n > 0 && sw_read_host(m, n, &len) ? SW_OK : SW_EINVAL; }
int32_t sw_seq_open(uint64_t seq, const uint8_t *m, uint32_t n) { (void)seq, (void)m, (void)n; return SW_OK; }
int32_t sw_seq_close(uint64_t seq) { (void)seq; return SW_OK; }
int32_t sw_seq_fork(uint64_t src, uint64_t dst) { (void)src, (void)dst; return SW_OK; }
int32_t sw_seq_rollback(uint64_t seq, uint32_t n) { (void)seq, (void)n; return SW_OK; }
int32_t sw_accept(uint64_t seq, const int32_t *ids, uint32_t n) { (void)seq, (void)ids, (void)n; return SW_OK; }
int32_t sw_sample(uint32_t rows) { (void)rows; return SW_OK; }
int32_t sw_plan(uint32_t rows) { (void)rows; return SW_OK; }
`

// TestHeaderLanguages: the header is C99 and C++17, without a warning.
func TestHeaderLanguages(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	copyFile(t, "../sandwarp.h", filepath.Join(dir, "sandwarp.h"))
	for _, language := range [][]string{{"c", "c99"}, {"c", "c11"}, {"c++", "c++17"}} {
		source, object := filepath.Join(dir, "all."+language[1]), filepath.Join(dir, language[1]+".o")
		if err := os.WriteFile(source, []byte(everyOption), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "clang-14", "--target=wasm32", "-x", language[0], "-std="+language[1], "-O2", "-mbulk-memory", "-ffreestanding",
			"-Wall", "-Wextra", "-Werror", "-c", source, "-o", object)
	}
}

// guest is a plugin's module without the host, to call its allocator.
func guest(t *testing.T, module []byte) api.Module {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { r.Close(ctx) })
	g, err := r.Instantiate(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestAllocator takes and frees at random: blocks are aligned, apart from each
// other, and memory freed is used again.
func TestAllocator(t *testing.T) {
	g := guest(t, examples.Redact)
	call := func(name string, args ...uint64) uint32 {
		out, err := g.ExportedFunction(name).Call(context.Background(), args...)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) == 0 {
			return 0
		}
		return uint32(out[0])
	}
	type block struct{ ptr, n uint32 }
	rapid.Check(t, func(t *rapid.T) {
		var blocks []block
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if len(blocks) > 0 && rapid.Bool().Draw(t, "free") {
				i := rapid.IntRange(0, len(blocks)-1).Draw(t, "which")
				call("sw_free", uint64(blocks[i].ptr), uint64(blocks[i].n), 16)
				blocks = append(blocks[:i], blocks[i+1:]...)
				continue
			}
			n := rapid.Uint32Range(0, 5000).Draw(t, "bytes")
			align := uint32(1) << rapid.IntRange(0, 12).Draw(t, "align")
			ptr := call("sw_alloc", uint64(n), uint64(align))
			if ptr == 0 || ptr%max(align, 16) != 0 {
				t.Fatalf("%d bytes aligned to %d lie at %d", n, align, ptr)
			}
			for _, b := range blocks {
				if ptr < b.ptr+b.n && b.ptr < ptr+n {
					t.Fatalf("%d bytes at %d overlap %d at %d", n, ptr, b.n, b.ptr)
				}
			}
			fill := make([]byte, n)
			for i := range fill {
				fill[i] = 0xff // must not reach anybody's head
			}
			if !g.Memory().Write(ptr, fill) {
				t.Fatalf("%d bytes at %d, memory has %d", n, ptr, g.Memory().Size())
			}
			blocks = append(blocks, block{ptr, n})
		}
		for _, b := range blocks {
			call("sw_free", uint64(b.ptr), uint64(b.n), 16)
		}
	})
	if size := g.Memory().Size(); size > 2<<20 {
		t.Errorf("memory has grown to %d bytes: freed blocks do not join", size)
	}
	for _, bad := range [][2]uint64{{1 << 31, 16}, {16, 3}, {16, 1 << 17}, {1<<32 - 1, 1}} {
		if ptr := call("sw_alloc", bad[0], bad[1]); ptr != 0 {
			t.Errorf("%d bytes aligned to %d: %d, want 0", bad[0], bad[1], ptr)
		}
	}
}

// FuzzSettings gives the plugins well-formed msgpack they may not expect. They
// refuse it or take it; nothing else happens.
func FuzzSettings(f *testing.F) {
	for _, v := range []any{
		nil, m{"ban": []int{1}, "allow": []int{1, 2}, "bias": m{"3": 0.5}}, m{"email": nil, "phone": "x", "prompts": true},
		m{"regex": "a+", "max_tokens": 9}, m{"schema": m{"type": "object"}, "depth": 3}, m{"json": true, "ends": []int{1}},
		[]any{1, -1, 1 << 40, 0.5, "x", []byte("y"), true, m{"z": []any{nil}}}, m{"seed": 1},
	} {
		f.Add(config(f, v))
	}
	var plugins []*wasm.Plugin
	for name, module := range modules {
		if name != "bytes" { // a tokenizer has no requests
			plugins = append(plugins, load(f, module, wasm.Options{Vocab: byteVocab}))
		}
	}
	f.Fuzz(func(t *testing.T, settings []byte) {
		if abi.CheckValue("settings", settings) != nil {
			return // the host refuses it
		}
		for _, p := range plugins {
			lastSeq++
			_ = p.OpenSeq(lastSeq, settings)
			p.CloseSeq(lastSeq)
			if n := p.Stats().Faults; n != 0 {
				t.Fatalf("%s: fault on %x", p.Name(), settings)
			}
		}
	})
}
