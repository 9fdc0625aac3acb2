package quantize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// A tensor is converted in chunks, a multiple of every block size. A wave of
// chunks is computed by all threads and then written in order.
const (
	chunkElems     = 64 << 10
	chunksAThread  = 4
	copyBytes      = 1 << 20
	largestElement = 4 // bytes
)

// converter turns the tensors of one file.
type converter struct {
	ctx         context.Context
	in          *gguf.File
	threads     int
	done, total int64 // bytes of input
	progress    func(done, total int64)
	wave        []chunk
	rooms       []room // one for each thread
}

// room is where a thread keeps a chunk's elements before and after.
type room struct{ x, y []float32 }

// chunk is a piece of a tensor.
type chunk struct {
	first int    // index of its first element
	src   []byte // a view of the input
	dst   []byte // len(dst) bytes of a buffer of its own
	buf   []byte
	err   error
	// sums of (y-x)^2 and x^2
	change, energy float64
}

func (c *converter) advance(bytes int) {
	c.done += int64(bytes)
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
}

// tensor writes from as t.DType and completes t.
func (c *converter) tensor(out io.Writer, from gguf.Tensor, t *Tensor) error {
	data := c.in.Data(from)
	if data == nil && from.Bytes() > 0 {
		return errors.New("the input was closed")
	}
	if from.DType == t.DType {
		return c.copy(out, data)
	}
	var change, energy float64
	for first, elems := 0, from.Elems(); first < elems; {
		n := c.cut(data, from.DType, t.DType, first, elems)
		c.compute(from.DType, t.DType)
		for i := range c.wave {
			k := &c.wave[i]
			if k.err != nil {
				return place(k.err, k.first, from.RowLen())
			}
			if _, err := out.Write(k.dst); err != nil {
				return err
			}
			change += k.change
			energy += k.energy
			c.advance(len(k.src))
		}
		first += n
	}
	t.RMSE, t.RMS = math.Sqrt(change/float64(from.Elems())), math.Sqrt(energy/float64(from.Elems()))
	return nil
}

func (c *converter) copy(out io.Writer, data []byte) error {
	for len(data) > 0 {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n := min(len(data), copyBytes)
		if _, err := out.Write(data[:n]); err != nil {
			return err
		}
		c.advance(n)
		data = data[n:]
	}
	return nil
}

// cut lays the next wave over the elements from first on and returns how many
// they are.
func (c *converter) cut(data []byte, from, to tensor.DType, first, elems int) (n int) {
	if c.wave == nil {
		c.wave, c.rooms = make([]chunk, c.threads*chunksAThread), make([]room, c.threads)
	}
	c.wave = c.wave[:cap(c.wave)]
	for i := range c.wave {
		if first+n == elems {
			c.wave = c.wave[:i]
			break
		}
		k := &c.wave[i]
		size := min(elems-first-n, chunkElems)
		if k.buf == nil {
			k.buf = make([]byte, chunkElems*largestElement)
		}
		begin := from.RowBytes(first + n)
		*k = chunk{first: first + n, src: data[begin : begin+from.RowBytes(size)], dst: k.buf[:to.RowBytes(size)], buf: k.buf}
		n += size
	}
	return n
}

// compute converts the chunks of the wave.
func (c *converter) compute(from, to tensor.DType) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for t := range min(c.threads, len(c.wave)) {
		wg.Go(func() {
			room := &c.rooms[t]
			if room.x == nil {
				room.x, room.y = make([]float32, chunkElems), make([]float32, chunkElems)
			}
			for i := next.Add(1) - 1; i < int64(len(c.wave)); i = next.Add(1) - 1 {
				k := &c.wave[i]
				if k.err = c.ctx.Err(); k.err != nil {
					continue
				}
				if fault := gguf.Guard(c.in, func() { k.convert(from, to, room) }); fault != nil {
					k.err = fault
				}
			}
		})
	}
	wg.Wait()
}

// convert fills dst.
func (k *chunk) convert(from, to tensor.DType, r *room) {
	n := len(k.src) / from.BlockBytes() * from.BlockElems()
	x, y := r.x[:n], r.y[:n]
	tensor.Dequantize(x, from, k.src)
	if k.err = tensor.Quantize(k.dst, to, x); k.err != nil {
		return
	}
	tensor.Dequantize(y, to, k.dst)
	for i := range x {
		v, e := float64(x[i]), float64(y[i])-float64(x[i])
		k.change += e * e
		k.energy += v * v
	}
}

// place says where in the tensor an element of the chunk is.
func place(err error, first, rowLen int) error {
	var v *tensor.ValueError
	if !errors.As(err, &v) {
		return err
	}
	at := *v
	at.Index += first
	return fmt.Errorf("row %d, column %d: %w", at.Index/rowLen, at.Index%rowLen, &at)
}
