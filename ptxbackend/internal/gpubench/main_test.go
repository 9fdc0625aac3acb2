package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
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

// TestWriteVerified writes an entry for the texts that passed on this device, with
// the checks each passed, and keeps what was in the file.
func TestWriteVerified(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	b := emulated(t, ptx.SM90a)
	var lines, hashes []string
	for _, c := range kernels.All()[:3] {
		k, err := c.Build(ptx.SM90a)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, (&ptx.Module{Target: ptx.SM90a, Kernels: []*ptx.Kernel{k}}).Hash())
		lines = append(lines, hashes[len(hashes)-1]+" "+c.Name()+" sm_90a ")
	}
	here, other := b.Dev.Info().Name+"\n", "another\n"
	file := write("verified.json", `{"0123": {"kernel": "old"}}`)
	list := "float64=" + write("float64", lines[0]+here+lines[1]+here+lines[2]+other) +
		",memcheck=" + write("memcheck", strings.Repeat("f", 64)+" unknown sm_80 "+here+lines[1]+here+lines[1]+here)
	if err := b.writeVerified(file, list); err != nil {
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
	if len(all) != 3 || all["0123"].Kernel != "old" {
		t.Errorf("there are %d entries: %v", len(all), all)
	}
	for i, want := range []string{"float64", "float64 memcheck"} {
		e := all[hashes[i]]
		if got := strings.Join(e.Checks, " "); got != want || e.Kernel != kernels.All()[i].Name() || e.Target != "sm_90a" || e.Driver != "emulated" {
			t.Errorf("%+v, want checks %s", e, want)
		}
	}
	for _, bad := range []string{"", "float64", "float64=" + filepath.Join(dir, "none"), "=" + file, "float64=" + write("empty", ""),
		"float64=" + write("bad", "abc elem sm_80 gpu\n")} {
		if err := b.writeVerified(file, bad); err == nil {
			t.Errorf("-checks %s was taken", bad)
		}
	}
}
