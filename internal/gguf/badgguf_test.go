package gguf

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

// elsewhere are the files of classes.json that are sound as GGUF and must be
// refused for what they mean: internal/model knows the architectures, their
// hyperparameters and the tensors they need. They must open here.
var elsewhere = []string{
	"m_arch_unknown", "m_zero_head_count", "m_zero_head_count_kv", "m_zero_embedding", "m_kv_gt_heads",
	"m_shape_swap", "m_tensor_missing",
}

// TestBadFiles gives every malformed file the verdict classes.json demands, in
// under a second and with memory bounded by its size.
func TestBadFiles(t *testing.T) {
	var classes []struct {
		Name, File, Cls, Want string
		Size                  int
	}
	testdata.JSON(t, &classes, "badgguf", "classes.json")
	for _, c := range classes {
		t.Run(c.Name, func(t *testing.T) {
			data := testdata.Open(t, "badgguf", c.File)
			if len(data) != c.Size {
				t.Fatalf("the file has %d bytes, want %d", len(data), c.Size)
			}
			start := time.Now()
			var f *File
			var err error
			if bytes := allocated(func() { f, err = Parse(c.File, data) }); bytes > bound(len(data)) {
				t.Errorf("allocated %d bytes for %d", bytes, len(data))
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %v", d)
			}
			if err == nil && c.Name == "v_tokens_i32" { // decided when the vocabulary is asked for
				_, err = f.Strings("tokenizer.ggml.tokens")
			}
			if err != nil {
				wellSaid(t, err)
			}
			accepted := c.Want == "accept" || slices.Contains(elsewhere, c.Name)
			switch {
			case accepted && err != nil:
				t.Errorf("refused: %v", err)
			case c.Want == "reject" && !accepted && err == nil:
				t.Error("accepted")
			}
		})
	}
}

// wellSaid checks that an error is typed and says where and what.
func wellSaid(t testing.TB, err error) {
	t.Helper()
	var e *FormatError
	if !errors.As(err, &e) || e.File == "" || e.Field == "" || e.Reason == "" || e.Offset < 0 {
		t.Errorf("not a complete *FormatError: %#v", err)
	}
}

// allocated is the number of bytes fn allocates altogether, freed or not.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// bound is what parsing a file of size bytes may allocate.
func bound(size int) uint64 { return 4*uint64(size) + 8<<20 }
