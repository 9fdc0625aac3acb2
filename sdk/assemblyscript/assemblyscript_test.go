// Package assemblyscript_test builds and tests the AssemblyScript SDK where the tools
// are.
package assemblyscript_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
)

// TestGolden hands the ABI's byte vectors to a plugin that reads and writes each.
func TestGolden(t *testing.T) { golden(t, "testdata/golden.wasm") }

func golden(t *testing.T, path string) {
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := wasm.Load(context.Background(), module, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	all := vectors(t)
	for name, hex := range all {
		in := hex
		if name == "row_picked" {
			in = all["row_in"] // the plugin picks
		}
		if got := filtered(t, p, name+" "+in); got != hex {
			t.Errorf("%s\n got  %s\n want %s", name, got, hex)
		}
	}
	for _, value := range []string{
		"c0", "c3", "7f", "cc80", "cdffff", "ce00010000", "cfffffffffffffffff", "ff", "d080", "d18000", "d280000000", "d38000000000000000",
		"cb3ff8000000000000", "a0", "93c0a161c40100", "81a16b92c2cb0000000000000000", "cf8000000000000000", "d1ff7f",
	} {
		if got := filtered(t, p, "value "+value); got != value {
			t.Errorf("value %s comes back as %s", value, got)
		}
	}
	for _, bad := range []string{"c1", "d40100", "a5", "dfffffffff", "dd7fffffff", "cd00", "9191", "c7"} {
		if _, err := p.Manifest(), p.OpenSeq(1, nil); err != nil {
			t.Fatal(err)
		}
		if out, _, _, err := p.Filter(1, []byte("value "+bad), abi.FlagEnd); err == nil {
			t.Errorf("%s is read as %q", bad, out)
		}
		p.CloseSeq(1)
	}
}

func vectors(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../abi/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 13 {
		t.Errorf("%d vectors", len(all))
	}
	return all
}

func filtered(t *testing.T, p *wasm.Plugin, text string) string {
	t.Helper()
	if err := p.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	defer p.CloseSeq(1)
	out, _, _, err := p.Filter(1, []byte(text), abi.FlagEnd)
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return string(out)
}

// TestCommittedModules builds the plugins from the sources, and compares the bytes
// with the committed ones.
func TestCommittedModules(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a compiler")
	}
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("SKIPPED: make is not installed")
	}
	out := t.TempDir()
	text, err := exec.Command("make", "OUT="+out).CombinedOutput()
	if err != nil {
		t.Fatalf("make: %v\n%s", err, text)
	}
	if bytes.Contains(text, []byte("SKIPPED")) {
		t.Skipf("%s", text)
	}
	for _, name := range []string{"examples/banlist", "examples/bytes", "examples/redact", "testdata/golden"} {
		got, err := os.ReadFile(filepath.Join(out, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := os.ReadFile(name + ".wasm"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.wasm is not what its source gives: run make -C sdk/assemblyscript (%v)", name, err)
		}
	}
}

// TestManifests compares what the transform writes with the golden manifests.
func TestManifests(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: node is not installed")
	}
	if _, err := os.Stat("node_modules/assemblyscript"); err != nil {
		t.Skip("SKIPPED: AssemblyScript is not installed (npm install --no-package-lock)")
	}
	for name, m := range map[string]*abi.Manifest{
		"manifest_filter": {Name: "f", Kind: abi.KindFilter, HoldMax: 64},
		"manifest_sampler": {
			Name: "acme/bias", Version: "1.2.3", Description: "biases tokens", Kind: abi.KindSampler, Mode: abi.ModeCandidates,
			Capabilities: []string{abi.CapVocab}, OptionalCapabilities: []string{abi.CapLog, abi.CapKV},
			Features: []string{"host-ops"}, OptionalFeatures: []string{"replay", "later"},
			Fuel: 1_000_000, FuelPerByte: 300, ConfigureFuel: 70_000_000_000, Memory: 1024, History: 64, Candidates: 256,
		},
	} {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		script := `import { manifest } from "./transform.mjs"; process.stdout.write(manifest(JSON.parse(process.argv[1])).toString("hex"))`
		got, err := exec.Command("node", "--input-type=module", "-e", script, string(text)).CombinedOutput()
		if err != nil {
			t.Fatalf("node: %v\n%s", err, got)
		}
		if want := vectors(t)[name]; string(got) != want {
			t.Errorf("%s\n got  %s\n want %s", name, got, want)
		}
	}
}

// TestMemoryIsCollected: many sequences and calls fit into little memory.
func TestMemoryIsCollected(t *testing.T) {
	module, err := os.ReadFile("examples/redact.wasm")
	if err != nil {
		t.Fatal(err)
	}
	p, err := wasm.Load(context.Background(), module, wasm.Options{Limits: wasm.Limits{Memory: 1 << 20}, Instances: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	settings := []byte("\x81\xa5email\xa1x")
	for seq := range uint64(20_000) {
		if err := p.OpenSeq(seq, settings); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if out, _, _, err := p.Filter(seq, []byte("write to a@b.co and "), 0); err != nil || string(out) != "write to x and " {
				t.Fatalf("%q %v", out, err)
			}
		}
		p.CloseSeq(seq)
	}
}
