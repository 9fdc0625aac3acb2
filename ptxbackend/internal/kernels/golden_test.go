package kernels

import (
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func TestAllAssemble(t *testing.T) {
	for _, target := range []ptx.Target{ptx.SM80, ptx.SM90a} {
		names := map[string]bool{}
		for _, c := range All() {
			if names[c.Name()] {
				t.Errorf("two kernels are called %s", c.Name())
			}
			names[c.Name()] = true
			k, err := c.Build(target)
			must(t, err)
			if k.Name != c.Name() {
				t.Errorf("%s builds a kernel called %s", c.Name(), k.Name)
			}
			checkText(t, &ptx.Module{Target: target, Kernels: []*ptx.Kernel{k}})
		}
	}
}
