package kernels

// CanNorm reports whether c may have Norm: there are few rows of whole vectors, and
// all of them fit shared memory.
func (c GEMV) CanNorm() bool { return c.T <= 4 && c.Mats[0].K%4 == 0 && !c.streams() }

// CanHeads reports whether c may have h for Heads.
func (c GEMV) CanHeads(h *RopeAppend) bool {
	c.Heads = h
	return c.checkHeads() == nil
}
