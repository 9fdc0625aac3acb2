package kernels

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	was := best
	defer func() { best = was }()
	names := Supported()
	if names[0] != "generic" {
		t.Errorf("the first instruction set is %q, want generic", names[0])
	}
	for _, n := range names {
		if err := Select(n); err != nil || !strings.HasPrefix(Features(), n+" ") {
			t.Errorf("Select(%q) = %v, then Features() = %q", n, err, Features())
		}
	}
	err := Select("mmx")
	if err == nil || !strings.Contains(err.Error(), "generic") {
		t.Errorf("Select of an unknown name: %v, want an error that names what there is", err)
	}
	if best.name != names[len(names)-1] {
		t.Errorf("a failed Select changed the choice to %s", best.name)
	}
}

// The environment chooses at start-up; a name that is not there falls back to the
// best and says so.
func TestEnvironment(t *testing.T) {
	if os.Getenv("KERNELS_TEST_CHILD") != "" {
		os.Stdout.WriteString("FEATURES " + Features() + "\n")
		return
	}
	names := Supported()
	top := names[len(names)-1]
	for env, want := range map[string][]string{
		"generic": {"generic of"},
		top:       {top + " of"},
		"":        {top + " of"},
		"sse9":    {top + " of", "SANDWARP_CPU ignored", "sse9"},
	} {
		out, err := child(env)
		if err != nil {
			t.Skipf("cannot run the test binary again: %v", err)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("SANDWARP_CPU=%q: %q, want it to contain %q", env, out, w)
			}
		}
	}
}

// child runs TestEnvironment in a new process and returns what it printed.
func child(env string) (string, error) {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestEnvironment$")
	cmd.Env = append(os.Environ(), "KERNELS_TEST_CHILD=1", "SANDWARP_CPU="+env)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A tool that lists more than it fills would crash in the middle of a step.
func TestTablesAreComplete(t *testing.T) {
	for _, s := range sets {
		if s.quantize == nil || s.rmsNorm == nil || s.add == nil || s.siluMul == nil || s.ropeNormal == nil ||
			s.ropeNEOX == nil || s.f32ToF16 == nil || s.f16ToF32 == nil || s.scoresF16 == nil || s.scoresF32 == nil ||
			s.weightedSumF16 == nil || s.weightedSumF32 == nil || s.max == nil || s.expSum == nil || s.readSum == nil ||
			s.peakInt8 == nil || s.peakFMA == nil {
			t.Errorf("%s lacks an operation", s.name)
		}
		if s.tiles.mul == nil {
			continue
		}
		c := s.tiles.columns
		if c[len(c)-1] != 1 || c[0] > tileColumns || len(s.tilePlain) != len(c) {
			t.Errorf("%s: tile columns %v, %d plain functions", s.name, c, len(s.tilePlain))
		}
		for _, half := range s.tiles.mul {
			for _, f := range half {
				if len(f) != len(c) {
					t.Errorf("%s: %d tile functions for columns %v", s.name, len(f), c)
				}
			}
		}
	}
}
