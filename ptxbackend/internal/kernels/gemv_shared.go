package kernels

// Where the shared memory of a GEMV goes, and with it the choice between two ways:
//
//   - the input is all there (resident), and the warps share a tile's columns;
//   - or it streams through a ring that all warps read, and each warp has a tile of
//     its own: more rows of the batch, of which fewer blocks have to read each.

const (
	gemvWords  = 272       // bytes for block-wide sums and a flag
	gemvFlight = 72 << 10  // of weights under way on a multiprocessor, which keep memory busy
	gemvLeast  = 48 << 10  // of weights under way, below which the other way is better
	gemvCut    = 48 << 10  // what a multiprocessor reads while the sums of cut tasks are put together
	gemvLean   = 112 << 10 // of a block, which leaves room for one of the next kernel
)

func (c GEMV) budget() int {
	if c.Shared > 0 {
		return c.Shared
	}
	return 96 << 10
}

// streams reports whether the input streams.
func (c GEMV) streams() bool { return c.T > 8 || c.residentWarps() == 0 }

func (c GEMV) warps() int {
	switch {
	case c.Warps > 0:
		return c.Warps
	case c.streams():
		return 8
	}
	return c.residentWarps()
}

// residentWarps is how many warps fit beside a resident input with enough weights
// under way; 0 if there is no room for any such number.
func (c GEMV) residentWarps() int {
	turn := c.largestTurn()
	if w := c.Warps; w > 0 {
		if c.residentBytes(w)+2*w*turn > c.budget() {
			return 0
		}
		return w
	}
	for _, w := range []int{16, 12, 8} {
		if ring := w * turn; c.residentBytes(w)+max(2, (gemvLeast+ring-1)/ring)*ring <= c.budget() {
			return w
		}
	}
	return 0
}

// kTiles is the number of 64-column tiles of the input.
func (c GEMV) kTiles() int {
	n := 0
	for _, m := range c.Mats {
		n = max(n, m.Units()*m.Format.Parts())
	}
	return n
}

// gemvTurn is what a warp multiplies at once: some units of a tile that follow each
// other, together a few KiB.
type gemvTurn struct {
	units, bytes, parts int
	perTile             int // turns of a tile
}

func turnOf(m Layout) gemvTurn {
	n := 1
	for 2*n*m.Format.Parts() <= 4 && m.Units()%(2*n) == 0 && 2*n*m.Format.UnitBytes() < 3<<10 {
		n *= 2
	}
	return gemvTurn{units: n, bytes: n * m.Format.UnitBytes(), parts: n * m.Format.Parts(), perTile: m.Units() / n}
}

func (c GEMV) largestTurn() int {
	n := 0
	for _, m := range c.Mats {
		n = max(n, turnOf(m).bytes)
	}
	return n
}

// residentBytes is what a resident input and two buffers of sums take.
func (c GEMV) residentBytes(warps int) int { return c.kTiles()*c.T*128 + 2*warps*c.T*64 + gemvWords }

// sumBytes is the room for sums that warps pass to each other: of a tile from all,
// twice, or of up's tiles.
func (c GEMV) sumBytes(warps int) int {
	switch {
	case !c.streams():
		return 2 * warps * c.T * 64
	case c.Out == SiLUMulPack:
		return warps / 2 * c.columns() * 4 * 32 * 4
	}
	return 0
}

// inputTurn is the input's share of a stage: none where it is resident.
func (c GEMV) inputTurn(m Layout) int {
	if c.streams() {
		return turnOf(m).parts * c.T * 128
	}
	return 0
}

// inputBytes is the room for the input.
func (c GEMV) inputBytes() int {
	if !c.streams() {
		return c.kTiles() * c.T * 128
	}
	n := 0
	for _, m := range c.Mats {
		n = max(n, c.stages(m)*c.inputTurn(m))
	}
	return n
}

// stages is the length of the rings of a matrix.
func (c GEMV) stages(m Layout) int {
	if c.Stages > 0 {
		return c.Stages
	}
	w := c.warps()
	weights := w * turnOf(m).bytes
	stage := weights + c.inputTurn(m)
	fixed := c.sumBytes(w) + gemvWords
	least := 3
	if !c.streams() {
		fixed, least = c.residentBytes(w), 2
	}
	n := min(8, (gemvFlight+weights-1)/weights+least-2, (min(c.budget(), gemvLean)-fixed)/stage)
	if n < least {
		n = min(least, (c.budget()-fixed)/stage)
	}
	return max(2, n)
}

func (c GEMV) ringBytes() int {
	n := 0
	for _, m := range c.Mats {
		n = max(n, c.stages(m)*c.warps()*turnOf(m).bytes)
	}
	return n
}

// SharedBytes is the dynamic shared memory of a launch.
func (c GEMV) SharedBytes() int {
	return c.inputBytes() + c.sumBytes(c.warps()) + gemvWords + c.ringBytes()
}

// Fits reports whether there is room: within Shared, or, where that is 0, for as
// much under way as memory needs.
func (c GEMV) Fits() bool {
	if c.Shared == 0 && c.streams() {
		for _, m := range c.Mats {
			if c.stages(m) < 3 {
				return false
			}
		}
	}
	return c.SharedBytes() <= c.budget()
}
