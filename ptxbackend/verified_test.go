package ptxbackend

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// TestVerified lists the kernels whose present text no hardware has confirmed, by
// testdata/verified.json (see make gpu-check), and has the README say how many.
func TestVerified(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "verified.json"))
	if err != nil {
		t.Fatal(err)
	}
	var known map[string]struct {
		Kernel, Target string
		Checks         []string
	}
	if err := json.Unmarshal(data, &known); err != nil {
		t.Fatal(err)
	}
	all, verified := 0, 0
	for _, c := range kernels.All() {
		for _, target := range kernels.TargetsOf(c) {
			k, err := c.Build(target)
			if err != nil {
				t.Fatal(err)
			}
			all++
			e, ok := known[(&ptx.Module{Target: target, Kernels: []*ptx.Kernel{k}}).Hash()]
			if ok && slices.Contains(e.Checks, "float64") && e.Kernel == c.Name() && e.Target == target.Arch {
				verified++
			} else {
				t.Logf("not verified on hardware: %s for %s", c.Name(), target.Arch)
			}
		}
	}
	readme, err := os.ReadFile(filepath.Join(testdata.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d of %d kernel texts are verified on hardware", verified, all); !strings.Contains(string(readme), want) {
		t.Errorf("the README's status does not say %q", want)
	}
}
