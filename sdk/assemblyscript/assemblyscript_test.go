// Package assemblyscript_test builds and tests the AssemblyScript SDK where the tools
// are.
package assemblyscript_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/plugintest"
	"github.com/sandwarp/sandwarp/wasm"
)

// TestGolden hands the ABI's byte vectors to a plugin that reads and writes each.
func TestGolden(t *testing.T) { plugintest.GoldenFile(t, "testdata/golden.wasm") }

// TestNumbers compares the package's constants with the host's.
func TestNumbers(t *testing.T) { plugintest.Numbers(t, "assembly/abi.ts") }

func TestCommittedModules(t *testing.T) {
	plugintest.Committed(t, "examples/banlist", "examples/norepeat", "examples/bytes", "examples/redact", "testdata/golden")
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
		if want := plugintest.Vectors(t)[name]; string(got) != want {
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
