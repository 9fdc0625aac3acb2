package backend

import "fmt"

// KVType is the form in which a KV cache keeps keys and values.
type KVType uint8

const (
	// KVF16 is IEEE half precision.
	KVF16 KVType = iota
	// KVF32 is float32.
	KVF32
	// KVQ8_0 is blocks of 32 numbers of a head, each an int8 and a half-precision
	// scale for all. The last block of a head is filled up with zeros.
	KVQ8_0

	kvTypes
)

var kvNames = [kvTypes]string{"f16", "f32", "q8_0"}

// String is the name users write.
func (t KVType) String() string {
	if t < kvTypes {
		return kvNames[t]
	}
	return fmt.Sprintf("KVType(%d)", uint8(t))
}

// Valid reports whether t is one of the types above.
func (t KVType) Valid() bool { return t < kvTypes }

// RowBytes is what a row of n numbers, the key or the value of a head, takes.
func (t KVType) RowBytes(n int) int {
	switch t {
	case KVF32:
		return 4 * n
	case KVQ8_0:
		return (n + 31) / 32 * 34
	}
	return 2 * n
}
