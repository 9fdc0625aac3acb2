package backend

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/plan"
)

// WeightLost turns a recovered panic into an error that wraps ErrWeightsLost and
// names the weight, if it is a fault on a page that holds bytes of a weight of p
// (w[i] are those of p.Weights[i]), and returns nil otherwise. The system may report
// a fault by its page alone. who begins the text.
func WeightLost(who string, recovered any, p *plan.Plan, w [][]byte) error {
	fault, ok := recovered.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok {
		return nil
	}
	page := uintptr(os.Getpagesize())
	for i, b := range w {
		first := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		from := first &^ (page - 1)
		to := (first + uintptr(len(b)) + page - 1) &^ (page - 1)
		if a := fault.Addr(); len(b) > 0 && from <= a && a < to {
			return fmt.Errorf("%s: weight %v: %w; restore the file and load it again", who, p.Weights[i], ErrWeightsLost)
		}
	}
	return nil
}
