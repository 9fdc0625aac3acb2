package abi

// Layout places a frame's parts. Every row has its own slot of each payload, so
// that one frame serves several sequences; a call shows the guest the slots
// first..first+rows-1 by the offsets in the header.
type Layout struct {
	Rows, Vocab, Candidates, History uint32
	Mode                             Mode

	rowOff, histOff, candOff, maskOff, logitsOff uint32
	maskStride, rowStride                        uint32
	size                                         uint32
	paged                                        bool
}

// NewLayout computes a frame of rows slots. Dense frames hold logits, a mask and
// candidates; candidates frames hold candidates; mask frames hold a mask.
func NewLayout(mode Mode, rows, vocab, candidates, history uint32) (*Layout, error) {
	return NewPagedLayout(mode, rows, vocab, candidates, history, 0)
}

// NewPagedLayout is NewLayout with logits that begin at multiples of page, a power of
// two from PayloadAlign to WindowAlign, and own the pages they lie in: a host can map
// them from elsewhere. 0 is any place.
func NewPagedLayout(mode Mode, rows, vocab, candidates, history, page uint32) (*Layout, error) {
	if rows == 0 || rows > 4096 || vocab == 0 || vocab > MaxVocab || candidates > MaxCandidates || history > MaxHistory {
		return nil, errorf("frame: %d rows, vocabulary %d, %d candidates, history %d: out of range", rows, vocab, candidates, history)
	}
	if page != 0 && (page&(page-1) != 0 || page < PayloadAlign || page > WindowAlign) {
		return nil, errorf("frame: pages of %d bytes", page)
	}
	l := &Layout{Rows: rows, Vocab: vocab, Candidates: min(candidates, vocab), History: history, Mode: mode}
	at := uint64(HeaderSize)
	place := func(bytes uint64) uint32 {
		off := at
		at = align(at + bytes)
		return uint32(off)
	}
	n := uint64(rows)
	l.rowOff = place(n * RowSize)
	if history > 0 {
		l.histOff = place(n * uint64(history) * 4)
	}
	if mode == ModeMask || mode == ModeDense {
		l.maskStride = uint32(align((uint64(vocab) + 31) / 32 * 4))
		l.maskOff = place(n * uint64(l.maskStride))
	}
	if mode == ModeCandidates || mode == ModeDense {
		l.candOff = place(n * uint64(l.Candidates) * CandidateSize)
	}
	if mode == ModeDense {
		l.rowStride = uint32(align(uint64(vocab) * 4))
		if l.paged = page > 0; l.paged {
			up := func(n uint64) uint64 { return (n + uint64(page) - 1) &^ (uint64(page) - 1) }
			at, l.rowStride = up(at), uint32(up(uint64(l.rowStride)))
		}
		l.logitsOff = place(n * uint64(l.rowStride))
	}
	if at > MaxPages*WindowAlign {
		return nil, errorf("frame: %d rows of vocabulary %d need %d bytes, more than a guest can have", rows, vocab, at)
	}
	l.size = uint32(at)
	return l, nil
}

func align(n uint64) uint64 { return (n + PayloadAlign - 1) &^ (PayloadAlign - 1) }

// Paged says whether each row's logits have pages to themselves.
func (l *Layout) Paged() bool { return l.paged }

// Size is the frame's size in bytes.
func (l *Layout) Size() uint32 { return l.size }

// PutHeader writes the header for a call with rows first..first+n-1.
func (l *Layout) PutHeader(h Header, first, n uint32, step uint64) {
	clear(h[:HeaderSize])
	le.PutUint32(h[0:], FrameMagic)
	le.PutUint16(h[4:], HeaderSize)
	le.PutUint16(h[6:], FrameVersion)
	le.PutUint32(h[8:], n)
	le.PutUint32(h[12:], l.Vocab)
	h.SetStep(step)
	le.PutUint32(h[28:], l.rowOff+first*RowSize)
	if l.Mode == ModeDense {
		le.PutUint32(h[32:], l.LogitsOff(first))
		le.PutUint32(h[36:], l.rowStride)
	}
	if l.maskOff != 0 {
		le.PutUint32(h[40:], l.MaskOff(first))
		le.PutUint32(h[44:], l.maskStride)
	}
	if l.candOff != 0 {
		le.PutUint32(h[48:], l.CandOff(first))
		le.PutUint32(h[52:], l.Candidates)
	}
	if l.histOff != 0 {
		le.PutUint32(h[56:], l.HistOff(first))
		le.PutUint32(h[60:], l.History)
	}
}

// RowOff and its siblings are the offsets of slot i's parts.
func (l *Layout) RowOff(i uint32) uint32    { return l.rowOff + i*RowSize }
func (l *Layout) HistOff(i uint32) uint32   { return l.histOff + i*l.History*4 }
func (l *Layout) MaskOff(i uint32) uint32   { return l.maskOff + i*l.maskStride }
func (l *Layout) CandOff(i uint32) uint32   { return l.candOff + i*l.Candidates*CandidateSize }
func (l *Layout) LogitsOff(i uint32) uint32 { return l.logitsOff + i*l.rowStride }

// MaskWords is the number of u32 words of a mask.
func (l *Layout) MaskWords() uint32 { return (l.Vocab + 31) / 32 }
