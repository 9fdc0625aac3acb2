package model_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files instead of comparing with them")

// The plan of each family, as written and as fused, is what testdata shows. Rewrite
// with: go test ./internal/model -run TestGoldenPlans -rewrite
func TestGoldenPlans(t *testing.T) {
	for name, o := range map[string]modeltest.Options{
		"llama": {Arch: "llama", DType: tensor.Q8_0, Factors: true, Untied: true},
		"qwen2": {Arch: "qwen2", DType: tensor.Q4_K},
		"qwen3": {Arch: "qwen3", DType: tensor.F16, FreqBase: 1e6},
	} {
		f := parse(t, o)
		c, err := model.ReadConfig(f)
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := model.Build(c, f)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, name+".plan", p.String())
		compare(t, name+".fused.plan", plan.Fuse(p, nil).String())
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got\n%s", name, d)
	}
}

// Models of every architecture and format build, fuse and run.
func TestEveryFormatRuns(t *testing.T) {
	tokens := []int32{5, 250, 17}
	for _, arch := range model.Arches() {
		for _, d := range tensor.DTypes() {
			f := parse(t, modeltest.Options{Arch: arch, DType: d, Seed: 3})
			c, err := model.ReadConfig(f)
			if err != nil {
				t.Fatal(err)
			}
			p, data, err := model.Build(c, f)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[float64]bool{}
			for _, row := range forward(t, machine(t, plan.Fuse(p, nil), data), tokens) {
				for _, x := range row {
					if !(x > -1e3 && x < 1e3) || seen[x] {
						t.Fatalf("%s %v: logit %v is out of range or twice there", arch, d, x)
					}
					seen[x] = true
				}
			}
		}
	}
}
