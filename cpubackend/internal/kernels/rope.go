package kernels

// RopeNormal rotates one head in place: columns 2i and 2i+1 by the angle whose
// cosine and sine are given; len(x) = 2*len(cos).
func RopeNormal(x, cos, sin []float32) {
	best.ropeNormal(x[:2*len(cos)], cos, sin[:len(cos)])
}

// RopeNEOX is RopeNormal with columns i and i+len(cos) as the pairs.
func RopeNEOX(x, cos, sin []float32) {
	best.ropeNEOX(x[:2*len(cos)], cos, sin[:len(cos)])
}

func ropeNormalGeneric(x, cos, sin []float32) {
	for i, c := range cos {
		s, a, b := sin[i], x[2*i], x[2*i+1]
		x[2*i], x[2*i+1] = a*c-b*s, a*s+b*c
	}
}

func ropeNEOXGeneric(x, cos, sin []float32) {
	n := len(cos)
	for i, c := range cos {
		s, a, b := sin[i], x[i], x[i+n]
		x[i], x[i+n] = a*c-b*s, a*s+b*c
	}
}
