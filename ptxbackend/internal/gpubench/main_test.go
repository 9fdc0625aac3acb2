package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// emulated is a bench whose figures mean nothing, so that nothing is wrong with the
// program when there is a GPU to spend time on.
func emulated(t *testing.T, target ptx.Target) *bench {
	info := driver.Info{SMs: 2, L2: 4096, Major: 8}
	if target.Hopper() {
		info.Major = 9
	}
	dev, err := emu.New(emu.Options{Info: info, Memory: 64 << 20}).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := on(dev, target, "emulated")
	if err != nil {
		t.Fatal(err)
	}
	b.Rounds = 1
	t.Cleanup(b.close)
	return b
}

// TestSections runs every measurement but that of the device in tiny shapes.
func TestSections(t *testing.T) {
	gemvShapes, gemvRows = [][2]int{{32, 256}}, []int{1, 8}
	gemmShapes = [][3]int{{70, 48, 256}}
	contexts = [][2]int{{1, 128}, {3, 192}}
	for _, target := range []ptx.Target{ptx.SM80, ptx.SM90a} {
		b := emulated(t, target)
		b.limits.Copy, b.limits.Read, b.limits.Mma = 1, 1, 1
		for _, section := range []func() error{b.gemv, b.gemm, b.attention} {
			if err := section(); err != nil {
				t.Errorf("%s: %v", target.Arch, err)
			}
		}
	}
}

// TestWriteVerified writes an entry for each kernel and target, and keeps what was
// in the file.
func TestWriteVerified(t *testing.T) {
	file := filepath.Join(t.TempDir(), "verified.json")
	if err := os.WriteFile(file, []byte(`{"0123": {"kernel": "old"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := emulated(t, ptx.SM90a).writeVerified(file, "float64,memcheck"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]entry
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < len(kernels.All())+1 || all["0123"].Kernel != "old" {
		t.Errorf("%d entries for %d kernels", len(all), len(kernels.All()))
	}
	for hash, e := range all {
		if hash != "0123" && (len(hash) != 64 || len(e.Checks) != 2 || e.Target == "") {
			t.Errorf("%s: %+v", hash, e)
		}
	}
}
