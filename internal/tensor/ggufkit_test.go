package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

// dumpTensors makes ggufkit, an independent reader in Python, write each tensor
// of the named files as: type u32, bytes u32, the raw bytes, the float32 values.
// An argument "=type,path" is a file of nothing but raw blocks.
const dumpTensors = `
import sys, gzip, tempfile, struct
sys.path.insert(0, sys.argv[1])
import ggufkit as g, numpy as np
np.seterr(all='ignore')
out = sys.stdout.buffer
def dump(gt, raw):
    out.write(struct.pack('<II', gt, len(raw)) + raw.tobytes() + g.dequant(raw, gt).astype('<f4').tobytes())
for p in sys.argv[2:]:
    if p[0] == '=':
        gt, path = p[1:].split(',', 1)
        dump(int(gt), np.fromfile(path, np.uint8))
        continue
    f = tempfile.NamedTemporaryFile()
    f.write(gzip.open(p).read() if p.endswith('.gz') else open(p, 'rb').read())
    f.flush()
    r = g.Reader(f.name)
    for n, t in r.tensors.items():
        dump(t[1], r.raw(n))
`

// ggufkit calls check with each tensor the Python reader dumps.
func ggufkit(t *testing.T, check func(dt DType, raw []byte, want []float32), args ...string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to run ggufkit.py with")
	}
	kit := testdata.Path(t, "..", "tools", "ggufkit.py")
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("ggufkit.py needs numpy")
	}
	cmd := exec.Command(python, append([]string{"-c", dumpTensors, filepath.Dir(kit)}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "OPENBLAS_NUM_THREADS=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for len(out) > 0 {
		dt, n := DType(binary.LittleEndian.Uint32(out)), int(binary.LittleEndian.Uint32(out[4:]))
		raw := out[8 : 8+n]
		out = out[8+n:]
		want := make([]float32, n/dt.BlockBytes()*dt.BlockElems())
		for i := range want {
			want[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:]))
		}
		out = out[4*len(want):]
		check(dt, raw, want)
	}
}

func requireSame(t *testing.T, dt DType, raw []byte, want []float32) {
	t.Helper()
	got := make([]float32, len(want))
	Dequantize(got, dt, raw)
	for i := range got {
		if !sameBits(got[i], want[i]) {
			t.Fatalf("%v: element %d is %v, ggufkit has %v", dt, i, got[i], want[i])
		}
	}
}

func TestDequantizeIsGGUFKitOnRandomBlocks(t *testing.T) {
	var args []string
	dir := t.TempDir()
	for _, dt := range DTypes() {
		switch dt {
		case Q2_K, Q3_K, IQ4_NL, IQ4_XS:
			continue // unknown to it
		}
		p := filepath.Join(dir, dt.String())
		if err := os.WriteFile(p, randomBytes(uint64(dt), 3000*dt.BlockBytes()), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, fmt.Sprintf("=%d,%s", uint32(dt), p))
	}
	seen := 0
	ggufkit(t, func(dt DType, raw []byte, want []float32) {
		seen++
		requireSame(t, dt, raw, want)
	}, args...)
	if seen != 12 {
		t.Errorf("compared %d formats, want 12", seen)
	}
}

func TestDequantizeIsGGUFKitOnRealFiles(t *testing.T) {
	var files []string
	for _, pattern := range []string{"models/stories260K-wide256-*.gguf.gz", "golden/t-*-k-*.gguf"} {
		testdata.Path(t, filepath.Dir(pattern))
		found, _ := filepath.Glob(filepath.Join(testdata.Dir(), pattern))
		files = append(files, found...)
	}
	if testing.Short() {
		files = files[:3]
	}
	seen := map[DType]int{}
	ggufkit(t, func(dt DType, raw []byte, want []float32) {
		seen[dt]++
		requireSame(t, dt, raw, want)
	}, files...)
	t.Logf("tensors compared: %v", seen)
	if len(seen) < 3 {
		t.Errorf("only %v in %d files", seen, len(files))
	}
}
