package ptxbackend

import (
	"encoding/binary"
	"fmt"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// block is the batch block: what a step is about, written in page-locked memory and
// copied to the device before the step. In a large batch two lists for attention lie
// before the page tables.
type block struct {
	layout       kernels.BatchLayout
	rowsPerItem  int // of attention in large batches; 0 for none
	maxItems     int
	maxSingles   int
	tableEntries int // of all page tables

	host     []byte
	starts   []int32 // per sequence, the index of its table among the int32 of the block
	itemList []int32 // see kernels.AttnItems
	rowList  []int32
}

// maxTableEntries bounds what the page tables of a batch may take together: 16 MiB,
// a context of 256 million tokens.
const maxTableEntries = 4 << 20

func newBlock(p *plan.Plan, lim backend.Limits, z sizes, info driver.Info) *block {
	k := &block{
		layout:       kernels.BatchLayout{MaxRows: z.rows, MaxLogit: roundUp(z.logits, z.headTile)},
		tableEntries: maxTableEntries,
	}
	if lim.Pages <= maxTableEntries/lim.MaxSeqs {
		k.tableEntries = lim.MaxSeqs * lim.Pages
	}
	if z.rows > smallRows {
		if k.rowsPerItem = rowsPerItem(p, info); k.rowsPerItem > 0 {
			k.maxItems = kernels.MaxAttnItems(lim.MaxRows, lim.MaxSeqs, k.rowsPerItem)
			k.maxSingles = lim.MaxRows
		}
	}
	return k
}

// Where the lists, and the tables of a large batch, begin, in bytes. An item is read
// whole, 8 bytes at a time.
func (k *block) items() int   { return roundUp(k.layout.Tables(), 8) }
func (k *block) singles() int { return k.items() + 8*k.maxItems }
func (k *block) tables() int  { return k.singles() + 4*k.maxSingles }

// bytes is the size of the block.
func (k *block) bytes() int { return k.tables() + 4*k.tableEntries }

// take gives the block its memory, host of bytes() bytes.
func (k *block) take(host []byte, lim backend.Limits) {
	k.host, k.starts = host, make([]int32, lim.MaxSeqs)
	k.itemList, k.rowList = make([]int32, 0, 2*k.maxItems), make([]int32, 0, k.maxSingles)
}

// fill writes b, which is valid, filled up to rows rows and logits rows of logits,
// and returns how many bytes there are to copy.
func (k *block) fill(b *backend.Batch, rows, logits int) (bytes int, err error) {
	l, tables := k.layout, k.layout.Tables()
	if rows > smallRows {
		k.fillLists(b)
		tables = k.tables()
	}
	end, err := k.fillTables(b, tables)
	if err != nil {
		return 0, err
	}
	k.put(l.Rows(), int32(len(b.Tokens)))
	k.put(l.NLogit(), int32(len(b.LogitRows)))
	for r := range rows {
		token, pos, start := int32(0), int32(-1), int32(tables/4)
		if r < len(b.Tokens) {
			token, pos, start = b.Tokens[r], b.Pos[r], k.starts[b.Seq[r]]
		}
		k.put(l.Token()+4*r, token)
		k.put(l.Pos()+4*r, pos)
		k.put(l.TableStart()+4*r, start)
	}
	row := int32(0)
	for i := range logits {
		if i < len(b.LogitRows) {
			row = b.LogitRows[i]
		}
		k.put(l.LogitRow()+4*i, row)
	}
	return end, nil
}

// fillLists divides the rows for attention in a large batch.
func (k *block) fillLists(b *backend.Batch) {
	k.itemList, k.rowList = k.itemList[:0], k.rowList[:0]
	if k.rowsPerItem == 0 {
		return
	}
	k.itemList, k.rowList = kernels.AttnItems(k.itemList, k.rowList, b.Seq, b.Pos, k.rowsPerItem, least)
	for i, v := range k.itemList {
		k.put(k.items()+4*i, v)
	}
	for i, v := range k.rowList {
		k.put(k.singles()+4*i, v)
	}
}

// fillTables writes, from byte at on, of each table what the batch's rows can reach.
func (k *block) fillTables(b *backend.Batch, at int) (end int, err error) {
	for r, s := range b.Seq {
		if r+1 < len(b.Seq) && b.Seq[r+1] == s {
			continue // not its last row
		}
		k.starts[s] = int32(at / 4)
		table := b.Tables[s][:int(b.Pos[r])/backend.PageTokens+1]
		if len(table) > (len(k.host)-at)/4 {
			return 0, fmt.Errorf("ptxbackend: the page tables of the batch have more than %d entries", k.tableEntries)
		}
		for _, page := range table {
			k.put(at, page)
			at += 4
		}
	}
	return at, nil
}

func (k *block) put(at int, v int32) { binary.LittleEndian.PutUint32(k.host[at:], uint32(v)) }
