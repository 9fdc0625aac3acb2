package sandwarp

import "github.com/sandwarp/sandwarp/internal/backend"

// CacheType is the form in which the KV cache keeps keys and values.
type CacheType string

const (
	// CacheF16 is half precision, 2 bytes a number: what "" means.
	CacheF16 CacheType = "f16"
	// CacheF32 is single precision, 4 bytes a number, for comparisons. CPU only.
	CacheF32 CacheType = "f32"
	// CacheQ8 is 8 bits and a half-precision scale for every 32 numbers of a head
	// (34 bytes; heads are filled up to a multiple of 32): 17/32 of the memory of
	// CacheF16, and long contexts are read as much faster. It rounds keys and values
	// about as much as a Q8_0 model rounds its weights. CPU only.
	CacheQ8 CacheType = "q8_0"
)

// kv is t for a backend; t has been validated.
func (t CacheType) kv() backend.KVType {
	switch t {
	case CacheF32:
		return backend.KVF32
	case CacheQ8:
		return backend.KVQ8_0
	}
	return backend.KVF16
}

func (t CacheType) validate() error {
	switch t {
	case "", CacheF16, CacheF32, CacheQ8:
		return nil
	}
	return option("Options.CacheType", "is %q, want %q, %q or %q", string(t), CacheF16, CacheF32, CacheQ8)
}
