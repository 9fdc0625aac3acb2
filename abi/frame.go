package abi

import "math"

// Sizes of the frame's parts in bytes.
const (
	FrameMagic    = 0x31465753 // "SWF1"
	FrameVersion  = 1
	HeaderSize    = 64
	RowSize       = 128
	CandidateSize = 8     // id u32, logit f32
	PayloadAlign  = 64    // of every payload
	WindowAlign   = 65536 // of the window sw_frame returns
)

// Header is the first 64 bytes of a frame. Offsets count from the frame's start.
//
//	 0 magic u32         24 flags u32        44 mask_stride u32
//	 4 header size u16   28 row_off u32      48 cand_off u32
//	 6 version u16       32 logits_off u32   52 cand_cap u32
//	 8 rows u32          36 row_stride u32   56 hist_off u32
//	12 vocab u32         40 mask_off u32     60 hist_cap u32
//	16 step u64
//
// Row i of a call is at row_off + i*RowSize, its logits (vocab f32) at
// logits_off + i*row_stride, its mask (u32 words, bit set = allowed) at
// mask_off + i*mask_stride, its candidates at cand_off + i*cand_cap*8, its
// history at hist_off + i*hist_cap*4. An offset of 0 means there is none.
type Header []byte

// Rows and its siblings read one field.
func (h Header) Magic() uint32      { return le.Uint32(h[0:]) }
func (h Header) Size() uint16       { return le.Uint16(h[4:]) }
func (h Header) Version() uint16    { return le.Uint16(h[6:]) }
func (h Header) Rows() uint32       { return le.Uint32(h[8:]) }
func (h Header) Vocab() uint32      { return le.Uint32(h[12:]) }
func (h Header) Step() uint64       { return le.Uint64(h[16:]) }
func (h Header) Flags() uint32      { return le.Uint32(h[24:]) }
func (h Header) RowOff() uint32     { return le.Uint32(h[28:]) }
func (h Header) LogitsOff() uint32  { return le.Uint32(h[32:]) }
func (h Header) RowStride() uint32  { return le.Uint32(h[36:]) }
func (h Header) MaskOff() uint32    { return le.Uint32(h[40:]) }
func (h Header) MaskStride() uint32 { return le.Uint32(h[44:]) }
func (h Header) CandOff() uint32    { return le.Uint32(h[48:]) }
func (h Header) CandCap() uint32    { return le.Uint32(h[52:]) }
func (h Header) HistOff() uint32    { return le.Uint32(h[56:]) }
func (h Header) HistCap() uint32    { return le.Uint32(h[60:]) }

// SetStep sets the number of the call, counted from 1 by instance.
func (h Header) SetStep(v uint64) { le.PutUint64(h[16:], v) }

// Row is the 128 bytes that describe one sequence in a call.
//
//	 0 seq u64        28 flags u32   56 action u32    (out)
//	 8 parent i32     32 seed u64    60 token i32     (out)
//	12 pos u32        40 temp f32    64 logprob f32   (out)
//	16 hist_off u32   44 top_p f32   68 out_off u32   (out)
//	20 hist_n u32     48 top_k u32   72 out_n u32     (out)
//	24 cand_n u32     52 min_p f32   76 reserved, zero
//
// out_off is an address in guest memory, not in the frame, and out_n a number of
// entries (see ChoiceBias). parent is the row a draft branched from, -1 for none. pos is the number of
// tokens before the one to choose. hist_off counts from the frame's start and
// hist_n tokens (i32, oldest first) are there. temp, top_p, top_k and min_p are
// the request's settings, 0 where the host does not say.
type Row []byte

// Seq and its siblings read one field.
func (r Row) Seq() uint64      { return le.Uint64(r[0:]) }
func (r Row) Parent() int32    { return int32(le.Uint32(r[8:])) }
func (r Row) Pos() uint32      { return le.Uint32(r[12:]) }
func (r Row) HistOff() uint32  { return le.Uint32(r[16:]) }
func (r Row) HistN() uint32    { return le.Uint32(r[20:]) }
func (r Row) CandN() uint32    { return le.Uint32(r[24:]) }
func (r Row) Flags() uint32    { return le.Uint32(r[28:]) }
func (r Row) Seed() uint64     { return le.Uint64(r[32:]) }
func (r Row) Temp() float32    { return float(r[40:]) }
func (r Row) TopP() float32    { return float(r[44:]) }
func (r Row) TopK() uint32     { return le.Uint32(r[48:]) }
func (r Row) MinP() float32    { return float(r[52:]) }
func (r Row) Action() Choice   { return Choice(le.Uint32(r[56:])) }
func (r Row) Token() int32     { return int32(le.Uint32(r[60:])) }
func (r Row) LogProb() float32 { return float(r[64:]) }
func (r Row) OutOff() uint32   { return le.Uint32(r[68:]) }
func (r Row) OutN() uint32     { return le.Uint32(r[72:]) }

// Begin fills in what the host says about a sequence and clears the outputs.
func (r Row) Begin(seq uint64, pos uint32, seed uint64, histOff, histN, candN uint32) {
	clear(r[:RowSize])
	le.PutUint64(r[0:], seq)
	le.PutUint32(r[8:], math.MaxUint32) // parent -1
	le.PutUint32(r[12:], pos)
	le.PutUint32(r[16:], histOff)
	le.PutUint32(r[20:], histN)
	le.PutUint32(r[24:], candN)
	le.PutUint64(r[32:], seed)
	le.PutUint32(r[60:], math.MaxUint32) // token -1
}

// SetCandN sets the number of candidates, which a guest may shrink.
func (r Row) SetCandN(n uint32) { le.PutUint32(r[24:], n) }

// Choose sets the outcome; token matters for ChoicePick only.
func (r Row) Choose(c Choice, token int32) {
	le.PutUint32(r[56:], uint32(c))
	le.PutUint32(r[60:], uint32(token))
}

// SetOut names the list that goes with a choice.
func (r Row) SetOut(ptr, n uint32) {
	le.PutUint32(r[68:], ptr)
	le.PutUint32(r[72:], n)
}

// SetLogProb sets the log-probability the sampler reports for its pick.
func (r Row) SetLogProb(v float32) { le.PutUint32(r[64:], math.Float32bits(v)) }

// Candidates is a row's list, best first.
type Candidates []byte

// ID is the i-th token.
func (c Candidates) ID(i int) int32 { return int32(le.Uint32(c[i*CandidateSize:])) }

// Logit is its logit.
func (c Candidates) Logit(i int) float32 { return float(c[i*CandidateSize+4:]) }

// Set replaces the i-th candidate.
func (c Candidates) Set(i int, id int32, logit float32) {
	le.PutUint32(c[i*CandidateSize:], uint32(id))
	le.PutUint32(c[i*CandidateSize+4:], math.Float32bits(logit))
}

func float(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }
