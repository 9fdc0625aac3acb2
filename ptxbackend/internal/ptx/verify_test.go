package ptx

import "testing"

func TestVerifyTakesEverything(t *testing.T) {
	for _, target := range []Target{SM80, SM90a} {
		if err := Verify(everything(t, target)); err != nil {
			t.Errorf("%v:\n%v", target, err)
		}
	}
}
